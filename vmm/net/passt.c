/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/ring.h"
#include "vmm/base/spawn.h"
#include "vmm/net/address.h"
#include "vmm/net/frame.h"

#define PREFIX	    4
#define PATIENCE_MS 100
#define INPUT	    (2u * (PREFIX + FRAME_MAX))
#define TURN	    16 /* reads in one turn */
#define CHILD_FD    3
#define MESSAGE	    256
#define PASST_MAC   "02:00:5e:00:00:04"
#define ARGUMENTS   64

struct passt {
	struct loop *loop;
	const struct backend_ops *ops;
	void *arg;
	pid_t pid;	/* 0: it has been reaped */
	int message_fd; /* its stderr */
	struct loop_source source;
	struct loop_task read_more, write_more;
	bool started, dead, paused;
	bool blocked; /* its socket is full */
	struct ring out;
	size_t have;
	uint8_t in[INPUT];
};

/* --- the child -------------------------------------------------------------------------------- */

/*
 * Ends the child, if there is one, and waits: SIGKILL does not take long. A child that is ending on
 * its own has patience_ms for that. Returns its status, as waitpid(2) does.
 */
static int reap(struct passt *passt, int patience_ms)
{
	struct pollfd ended = {.fd = -1, .events = POLLIN};
	int status = 0;

	if (passt->pid <= 0)
		return 0;
	if (patience_ms > 0)
		ended.fd = (int)syscall(SYS_pidfd_open, passt->pid, 0);
	if (ended.fd >= 0)
		poll(&ended, 1, patience_ms);
	fd_close(&ended.fd);
	kill(passt->pid, SIGKILL);
	while (waitpid(passt->pid, &status, 0) < 0 && errno == EINTR)
		;
	passt->pid = 0;
	return status;
}

/* The last line that the child wrote, or a general one. */
static void last_words(const struct passt *passt, char to[MESSAGE])
{
	ssize_t got = read(passt->message_fd, to, MESSAGE - 1);
	char *line;

	while (got > 0 && to[got - 1] == '\n')
		got--;
	to[got > 0 ? got : 0] = '\0';
	line = strrchr(to, '\n');
	if (line)
		memmove(to, line + 1, strlen(line));
	if (to[0] == '\0')
		snprintf(to, MESSAGE, "it closed its socket");
}

static void die(struct passt *passt, const char *why)
{
	char words[MESSAGE];
	int status;

	if (passt->dead)
		return;
	passt->dead = true;
	loop_remove(passt->loop, &passt->source);
	loop_cancel(passt->loop, &passt->read_more);
	loop_cancel(passt->loop, &passt->write_more);
	ring_clear(&passt->out);
	status = reap(passt, why ? 0 : PATIENCE_MS);
	if (!why && WIFSIGNALED(status) && WTERMSIG(status) != SIGPIPE)
		snprintf(words, sizeof(words), "it was ended by signal %d", WTERMSIG(status));
	else if (!why)
		last_words(passt, words);
	why = why ? why : words;
	passt->ops->died(passt->arg, why);
}

static int spawn(struct passt *passt, const char *program, char *const *arguments, int socket_fd,
		 int message_fd, struct err *err)
{
	const int fd[] = {-1, -1, message_fd, [CHILD_FD] = socket_fd};
	int ret = spawn_program(&passt->pid, SPAWN_TOOL, program, arguments, fd, ARRAY_SIZE(fd));

	if (ret == -ENOENT)
		return err_set(err, ENOENT, "%s is not installed: apt install passt", program);
	return ret < 0 ? err_code(err, -ret, "%s", program) : 0;
}

/* --- arguments -------------------------------------------------------------------------------- */

struct arguments {
	char *list[ARGUMENTS];
	unsigned count;
	char text[PUBLISH_MAX][PUBLISH_TEXT]; /* arguments that are made here */
	unsigned texts;
};

static void add(struct arguments *arguments, const char *text)
{
	/* posix_spawn() takes char *, but does not write to the strings. */
	arguments->list[arguments->count++] = (char *)(uintptr_t)text;
	arguments->list[arguments->count] = NULL;
}

static void add_publish(struct arguments *arguments, const struct publish *publish)
{
	char address[ADDRESS_TEXT], *text = arguments->text[arguments->texts++];

	snprintf(text, PUBLISH_TEXT, "%s/%u:%u", address_text(load_be32(publish->address), address),
		 publish->host_port, publish->guest_port);
	add(arguments, publish->udp ? "-u" : "-t");
	add(arguments, text);
}

/*
 * Says "none" for a protocol without published ports: by default passt forwards UDP ports where it
 * forwards TCP ports.
 */
static void add_all_published(struct arguments *arguments, const struct passt_config *config)
{
	bool has[2] = {false, false};
	unsigned i;

	for (i = 0; i < config->published; i++) {
		add_publish(arguments, &config->publish[i]);
		has[config->publish[i].udp] = true;
	}
	for (i = 0; i < 2; i++) {
		if (has[i])
			continue;
		add(arguments, i ? "-u" : "-t");
		add(arguments, "none");
	}
}

/*
 * Only IPv4, no configuration services (the agent configures the guest), no DNS, only published
 * ports. In passt's terms the "gateway" is the address that stands for the host's loopback.
 */
static int make_arguments(struct arguments *arguments, const struct passt_config *config,
			  char text[3][ADDRESS_TEXT])
{
	static const char *const fixed[] = {
		"-f",	   "-q",    "-1",   "-4", "--no-dhcp", "--no-dhcpv6", "--no-ndp",
		"--no-ra", "-D",    "none", "-S", "none",      "-M",	      PASST_MAC,
		"-m",	   "65520", "-n",   "24", "-F",	       "3",
	};
	size_t i;

	if (config->published > PUBLISH_MAX)
		return -E2BIG;
	add(arguments, config->program);
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		add(arguments, fixed[i]);
	add(arguments, "-a");
	add(arguments, address_text(ADDRESS_GUEST, text[0]));
	add(arguments, "-g");
	add(arguments, address_text(ADDRESS_HOST, text[1]));
	add_all_published(arguments, config);
	return 0;
}

/* --- frames ----------------------------------------------------------------------------------- */

static bool is_arp(const uint8_t *frame, size_t length)
{
	return length >= FRAME_ETHERNET + FRAME_ARP && load_be16(frame + 12) == 0x0806;
}

static void starts(struct passt *passt)
{
	passt->started = true;
	if (passt->ops->started)
		passt->ops->started(passt->arg);
}

/*
 * passt does not report that it is ready. It opens its ports before it handles frames: so its reply
 * to this ARP request, the first frame, shows that they are open.
 */
static void ask_for_start(struct passt *passt)
{
	static const uint8_t question[FRAME_ETHERNET + FRAME_ARP] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x00, 0x00, 0x02, 0x08, 0x06,
		/* Ethernet, IPv4, a request of the guest's card ... */
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x5e, 0x00, 0x00, 0x02,
		192, 0, 2, 2,
		/* ... for the MAC of ADDRESS_HOST */
		0, 0, 0, 0, 0, 0, 192, 0, 2, 4};

	passt_send(passt, question, sizeof(question));
}

/* Passes complete frames to the owner. False: the owner has no room for the next one. */
static bool hand_out(struct passt *passt)
{
	size_t at = 0, length;
	bool room = true;

	while (passt->have - at >= PREFIX) {
		length = load_be32(passt->in + at);
		if (length > FRAME_MAX) {
			die(passt, "it sent a frame that is too long");
			return false;
		}
		if (passt->have - at - PREFIX < length)
			break;
		if (!passt->started && is_arp(passt->in + at + PREFIX, length)) {
			starts(passt);
		} else {
			room = passt->ops->room(passt->arg);
			if (!room)
				break;
			passt->ops->frame(passt->arg, passt->in + at + PREFIX, length);
		}
		/* The owner's replies may have shown that passt is dead. */
		if (passt->dead)
			return false;
		at += PREFIX + length;
	}
	memmove(passt->in, passt->in + at, passt->have - at);
	passt->have -= at;
	return room;
}

static void watch(struct passt *passt)
{
	uint32_t events = (passt->paused ? 0 : EPOLLIN) | (passt->blocked ? EPOLLOUT : 0);

	if (!passt->dead)
		loop_modify(passt->loop, &passt->source, events);
}

static void read_frames(struct passt *passt)
{
	bool more = true;
	unsigned turn;
	size_t space;
	ssize_t got;

	for (turn = 0; turn < TURN; turn++) {
		if (!hand_out(passt)) {
			passt->paused = true;
			break;
		}
		/* The last read did not fill the space: there is no more now. */
		if (!more)
			break;
		space = INPUT - passt->have;
		got = recv(passt->source.fd, passt->in + passt->have, space, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (got <= 0) {
			die(passt, NULL);
			return;
		}
		passt->have += (size_t)got;
		more = (size_t)got == space;
	}
	watch(passt);
}

/* Writes buffered frames until the socket is full. */
static void flush(struct passt *passt)
{
	bool had_room = passt_has_room(passt);
	struct iovec segment[2];
	struct msghdr message = {.msg_iov = segment};
	ssize_t sent;

	passt->blocked = false;
	while (!passt->dead && !passt->blocked && ring_used(&passt->out) > 0) {
		message.msg_iovlen = ring_readable(&passt->out, segment);
		sent = sendmsg(passt->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			die(passt, NULL);
			return;
		}
		if (sent < 0)
			passt->blocked = errno == EAGAIN;
		else
			ring_consumed(&passt->out, (size_t)sent);
	}
	ring_release_if_empty(&passt->out);
	watch(passt);
	if (!had_room && passt_has_room(passt))
		passt->ops->drained(passt->arg);
}

static void socket_ready(void *arg, uint32_t events)
{
	struct passt *passt = arg;

	if (events & EPOLLOUT)
		flush(passt);
	if (!passt->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !passt->paused)
		read_frames(passt);
	else if (!passt->dead && (events & (EPOLLHUP | EPOLLERR)))
		die(passt, NULL);
}

static void read_more(void *arg)
{
	struct passt *passt = arg;

	passt->paused = false;
	read_frames(passt);
}

static void write_more(void *arg)
{
	flush(arg);
}

bool passt_has_room(const struct passt *passt)
{
	return !passt->dead && ring_used(&passt->out) <= PASST_BUFFER / 2;
}

void passt_send(struct passt *passt, const uint8_t *frame, size_t length)
{
	uint8_t prefix[PREFIX];

	if (passt->dead || ring_space(&passt->out) < PREFIX + length)
		return;
	store_be32(prefix, (uint32_t)length);
	if (ring_write(&passt->out, prefix, PREFIX) != PREFIX)
		return; /* out of memory */
	ring_write(&passt->out, frame, length);
	/* The write happens before the loop waits again, so several frames go at once. */
	if (!passt->blocked)
		loop_defer(passt->loop, &passt->write_more);
}

void passt_resume(struct passt *passt)
{
	if (!passt->dead && passt->paused)
		loop_defer(passt->loop, &passt->read_more);
}

/* --- life ------------------------------------------------------------------------------------- */

static int start(struct passt *passt, const struct passt_config *config, struct err *err)
{
	struct arguments arguments = {.count = 0};
	char text[3][ADDRESS_TEXT];
	int pair[2] = {-1, -1}, words[2] = {-1, -1}, ret;

	ret = make_arguments(&arguments, config, text);
	if (ret < 0)
		return err_set(err, -ret, "too many published ports");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0) {
		ret = err_sys(err, "a socket pair for passt");
		goto out;
	}
	/* Above the numbers of the child's own descriptors. */
	passt->source.fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 10);
	passt->message_fd = fcntl(words[0], F_DUPFD_CLOEXEC, 10);
	if (passt->source.fd < 0 || passt->message_fd < 0) {
		ret = err_sys(err, "a socket pair for passt");
		goto out;
	}
	ret = spawn(passt, config->program, arguments.list, pair[1], words[1], err);
	if (ret == 0)
		ret = loop_add(passt->loop, &passt->source, EPOLLIN);
	if (ret == 0)
		ask_for_start(passt);
out:
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	fd_close(&words[0]);
	fd_close(&words[1]);
	return ret;
}

int passt_create(struct passt **out, struct loop *loop, const struct passt_config *config,
		 const struct backend_ops *ops, void *arg, struct err *err)
{
	struct passt *passt = calloc(1, sizeof(*passt));
	int ret;

	*out = NULL;
	if (!passt)
		return err_set(err, ENOMEM, "no memory for the network");
	passt->loop = loop;
	passt->ops = ops;
	passt->arg = arg;
	passt->message_fd = -1;
	passt->source = (struct loop_source){.fd = -1, .ready = socket_ready, .arg = passt};
	passt->read_more = (struct loop_task){.run = read_more, .arg = passt};
	passt->write_more = (struct loop_task){.run = write_more, .arg = passt};
	ring_init(&passt->out, PASST_BUFFER);
	ret = start(passt, config, err);
	if (ret < 0) {
		passt_destroy(passt);
		return ret;
	}
	*out = passt;
	return 0;
}

void passt_destroy(struct passt *passt)
{
	if (!passt)
		return;
	loop_remove(passt->loop, &passt->source);
	loop_cancel(passt->loop, &passt->read_more);
	loop_cancel(passt->loop, &passt->write_more);
	fd_close(&passt->source.fd);
	fd_close(&passt->message_fd);
	reap(passt, 0);
	ring_destroy(&passt->out);
	free(passt);
}
