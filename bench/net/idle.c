/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/idle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/net/guest_internal.h"
#include "vmm/base/bytes.h"
#include "vmm/relay/relay.h"

#define FLIGHT	    8 /* handshakes at a time: each has a slot for its frames */
#define STEP_NS	    UINT64_C(5000000)
#define SETTLE_NS   UINT64_C(1000000000)
#define PATIENCE_NS UINT64_C(60000000000)

static struct {
	struct tcp **tcp; /* by port, from FIRST_PORT on */
	unsigned count, begun, open;
	uint64_t began_ns;
	struct loop_timer timer, late;
} idle;

static void __attribute__((noreturn)) give_up(const char *why)
{
	fprintf(stderr, "net-relay: idle connections: %s, %u of %u are open\n", why, idle.open,
		idle.count);
	exit(1);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* "Slab: 1234 kB" of a file of the kernel's. */
static double kib_in(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	size_t length = strlen(name);
	char line[256];

	if (!file)
		fail(path);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) != 0 || line[length] != ':')
			continue;
		fclose(file);
		return strtod(line + length + 1, NULL);
	}
	give_up("the kernel does not tell what memory is used");
}

static double slab(void)
{
	return kib_in("/proc/meminfo", "Slab");
}

static double process_memory(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	return kib_in(path, "Pss");
}

/* --- sockets alone ---------------------------------------------------------------------------- */

static void connect_one(int epoll_fd)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(HOLDER)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Nothing of it is to stay behind in TIME-WAIT. */
	const struct linger reset = {.l_onoff = 1};
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	inet_pton(AF_INET, SERVER, &to.sin_addr);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("a connection to the server");
}

/* In a process of its own, with whose end they are gone. */
static void __attribute__((noreturn)) hold_sockets(unsigned count, int told_fd)
{
	struct rlimit files;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	double before = slab(), grown;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	while (count-- > 0)
		connect_one(epoll_fd);
	usleep(SETTLE_NS / 1000);
	grown = slab() - before;
	_exit(write(told_fd, &grown, sizeof(grown)) == sizeof(grown) ? 0 : 1);
}

double idle_kernel_of_sockets(unsigned count)
{
	double grown;
	int told[2];
	pid_t pid;

	if (pipe(told) < 0)
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0)
		hold_sockets(count, told[1]);
	close(told[1]);
	if (read(told[0], &grown, sizeof(grown)) != sizeof(grown))
		exit(1); /* it has said why */
	close(told[0]);
	waitpid(pid, NULL, 0);
	usleep(SETTLE_NS / 1000);
	return grown / 2;
}

/* --- connections through the relay ------------------------------------------------------------ */

static void idle_output(void *arg, const struct tcp_segment *segment)
{
	struct tcp **at = arg;

	guest.local_port = (uint16_t)(FIRST_PORT + (at - idle.tcp));
	guest_output(NULL, segment);
}

/* As fast as the relay lets connections through. */
static bool may_begin(void)
{
	const uint64_t passed = loop_now_ns() - idle.began_ns;

	return idle.begun < idle.count && idle.begun - idle.open < FLIGHT && guest_has_slots() &&
	       (double)idle.begun <
		       0.9 * (RELAY_FLOWS_BURST + RELAY_FLOWS_SECOND * (double)passed / 1e9);
}

static void idle_work(void *arg)
{
	struct tcp **at;

	(void)arg;
	while (may_begin()) {
		at = &idle.tcp[idle.begun++];
		if (tcp_open_active(at, &guest.config, at, (uint32_t)random(), loop_now_ns()) < 0)
			give_up("out of memory");
	}
	guest_pump();
	if (idle.open == idle.count)
		loop_stop(guest.loop);
	else
		loop_timer_start(guest.loop, &idle.timer, STEP_NS);
}

static void idle_frame(const uint8_t *header, const uint8_t *frame, size_t length)
{
	/* Of anything but TCP over IPv4 the number has no meaning, and guest_user drops it. */
	unsigned index = length < 38 ? UINT32_MAX : (unsigned)load_be16(frame + 36) - FIRST_PORT;
	bool was_open;

	guest.tcp = index < idle.begun ? idle.tcp[index] : NULL;
	was_open = guest.tcp && tcp_look(guest.tcp) & TCP_LOOK_OPEN;
	guest.local_port = (uint16_t)(FIRST_PORT + index);
	guest_user.frame(header, frame, length);
	if (!guest.tcp)
		return;
	if (tcp_look(guest.tcp) & (TCP_LOOK_CLOSED | TCP_LOOK_ENDED))
		give_up("one has ended");
	tcp_flush(guest.tcp, loop_now_ns());
	if (!was_open && tcp_look(guest.tcp) & TCP_LOOK_OPEN)
		idle.open++;
}

static void idle_drained(void)
{
	loop_defer(guest.loop, &guest.work);
}

const struct card_user idle_user = {.frame = idle_frame, .drained = idle_drained};

static void too_late(void *arg)
{
	(void)arg;
	give_up("too slow");
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void rest(struct loop *loop)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	loop_timer_start(loop, &timer, SETTLE_NS);
	loop_run(loop);
}

struct idle_cost idle_measure(struct loop *loop, const struct card *card, pid_t pid, unsigned count)
{
	double kernel = slab(), process = process_memory(pid);

	guest_create(loop, card);
	guest.work = (struct loop_task){.run = idle_work};
	guest.port = HOLDER;
	guest.config.output = idle_output;
	idle.count = count;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	idle.tcp = calloc(count, sizeof(*idle.tcp));
	if (!idle.tcp)
		give_up("out of memory");
	idle.began_ns = loop_now_ns();
	idle.timer = (struct loop_timer){.expired = idle_work};
	idle.late = (struct loop_timer){.expired = too_late};
	loop_timer_start(loop, &idle.late, PATIENCE_NS);
	loop_defer(loop, &guest.work);
	loop_run(loop);
	loop_timer_stop(loop, &idle.late);
	loop_timer_stop(loop, &idle.timer);
	rest(loop);
	return (struct idle_cost){.process = process_memory(pid) - process,
				  .kernel = slab() - kernel};
}
