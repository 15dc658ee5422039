/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports without a network card: forwards the monitor's connections to a vsock port to a
 * TCP port of the guest's loopback.
 *
 * One child serves all ports, with a poll loop of its own, as the user nobody, and with no
 * descriptors but these sockets. The next FORWARD ends it.
 */
#include "guest-kernel/agent/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/agent/linux.h"

#define NOBODY	    65534
#define BACKLOG	    1024 /* as on the host; Linux allows 4096 (net.core.somaxconn) */
#define HOST_CID    2
#define PAIRS_MAX   128 /* connections at once; more wait */
#define BUFFER	    16384
#define FIRST_SPARE 3

/* One direction: bytes read and not yet written. */
struct half {
	size_t head, used;
	bool ended, shut; /* the source has ended; the target has been shut down */
	uint8_t data[BUFFER];
};

/* A connection: [0] is the monitor's end, [1] the server's; half[i] carries bytes from end i. */
struct pair {
	int fd[2];
	bool connecting;
	struct half half[2];
};

static pid_t child;

/* --- the child -------------------------------------------------------------------------------- */

static struct pair *pairs[PAIRS_MAX];

static void pair_free(struct pair **at)
{
	close_fd(&(*at)->fd[0]);
	close_fd(&(*at)->fd[1]);
	free(*at);
	*at = NULL;
}

static struct pair **pair_slot(void)
{
	unsigned i;

	for (i = 0; i < PAIRS_MAX; i++)
		if (!pairs[i])
			return &pairs[i];
	return NULL;
}

/* Accepts a connection of the monitor, none of a workload, and connects to the server; closes it if
 * that fails. */
static void accept_connection(int listener, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct vsock_address from = {.cid = 0};
	socklen_t length = sizeof(from);
	struct pair **slot = pair_slot(), *pair;
	int fd = accept4(listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	pair = slot && from.cid == HOST_CID ? calloc(1, sizeof(*pair)) : NULL;
	if (!pair) {
		close(fd);
		return;
	}
	pair->fd[0] = fd;
	pair->fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	*slot = pair;
	pair->connecting = true;
	if (pair->fd[1] < 0 ||
	    (connect(pair->fd[1], (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
		pair_free(slot);
}

/* Moves bytes of one direction, without blocking. False: the connection has failed. */
static bool move_bytes(struct half *half, int from, int to)
{
	ssize_t n = 1;

	if (half->used == 0 && !half->ended) {
		half->head = 0;
		n = recv(from, half->data, BUFFER, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		half->ended = n == 0;
		half->used = n > 0 ? (size_t)n : 0;
	}
	if (half->used > 0) {
		n = send(to, half->data + half->head, half->used, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		half->head += n > 0 ? (size_t)n : 0;
		half->used -= n > 0 ? (size_t)n : 0;
	}
	if (half->used == 0 && half->ended && !half->shut) {
		half->shut = true;
		shutdown(to, SHUT_WR);
	}
	return true;
}

static bool connected(struct pair *pair)
{
	socklen_t length = sizeof(int);
	int error = 0;

	pair->connecting = false;
	return getsockopt(pair->fd[1], SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

static void pair_ready(struct pair **at, const struct pollfd *seen)
{
	struct pair *pair = *at;
	bool good = true;

	if (pair->connecting) {
		if (seen[0].revents & (POLLHUP | POLLERR))
			good = false;
		else if (seen[1].revents)
			good = connected(pair);
		if (good)
			return;
	}
	if (good)
		good = move_bytes(&pair->half[0], pair->fd[0], pair->fd[1]) &&
		       move_bytes(&pair->half[1], pair->fd[1], pair->fd[0]);
	/* POLLERR is a reset. POLLHUP alone is not: both ends may be shut with bytes still to move.
	 */
	if (!good || ((seen[0].revents | seen[1].revents) & POLLERR) ||
	    (pair->half[0].shut && pair->half[1].shut))
		pair_free(at);
}

static short events_of(const struct pair *pair, unsigned end)
{
	const struct half *out = &pair->half[end], *in = &pair->half[!end];

	if (pair->connecting)
		return end ? POLLOUT : 0;
	return (short)((out->used == 0 && !out->ended ? POLLIN : 0) | (in->used ? POLLOUT : 0));
}

static void run(const int *listeners, const uint16_t *port, unsigned count)
{
	static struct pollfd set[AGENT_FORWARDS_MAX + 2 * PAIRS_MAX];
	static unsigned of[PAIRS_MAX];
	struct pair *pair;
	unsigned i, n, used;
	short events;

	for (;;) {
		for (i = 0; i < count; i++)
			set[i] = (struct pollfd){.fd = pair_slot() ? listeners[i] : -1,
						 .events = POLLIN};
		for (i = used = 0; i < PAIRS_MAX; i++) {
			pair = pairs[i];
			if (!pair)
				continue;
			of[used] = i;
			for (n = 0; n < 2; n++) {
				events = events_of(pair, n);
				/* Ignore an end that can only report a hang-up, except while
				 * connecting, when that ends the connection. */
				set[count + 2 * used + n] = (struct pollfd){
					.fd = events || pair->connecting ? pair->fd[n] : -1,
					.events = events};
			}
			used++;
		}
		if (poll(set, count + 2 * used, -1) < 0)
			continue;
		for (i = 0; i < used; i++)
			if (set[count + 2 * i].revents || set[count + 2 * i + 1].revents)
				pair_ready(&pairs[of[i]], &set[count + 2 * i]);
		for (i = 0; i < count; i++)
			if (set[i].revents)
				accept_connection(listeners[i], port[i]);
	}
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
}

/* Closes all descriptors but the listening sockets, drops privileges and serves. */
static void __attribute__((noreturn))
child_main(const int *listeners, const uint16_t *port, unsigned count)
{
	static int own[AGENT_FORWARDS_MAX];
	unsigned i;

	signal(SIGCHLD, SIG_DFL);
	/* Move them up first, so that close_range() can close all others. */
	for (i = 0; i < count; i++) {
		own[i] = dup2(listeners[i], 200 + (int)i);
		if (own[i] < 0)
			_exit(1);
	}
	syscall(SYS_close_range, FIRST_SPARE, 199, 0);
	syscall(SYS_close_range, 200 + count, ~0u, 0);
	become_nobody();
	run(own, port, count);
	_exit(0);
}

/* --- the agent -------------------------------------------------------------------------------- */

static void end_child(void)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	child = 0;
}

bool forward_ended(pid_t pid)
{
	if (pid != child)
		return false;
	agent_log("the process that serves published ports has ended");
	child = 0;
	return true;
}

static int open_port(uint32_t port)
{
	struct vsock_address at = {.family = AF_VSOCK, .port = port, .cid = ~0u};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

uint32_t forward_set(const uint8_t *payload, uint32_t length)
{
	int listener[AGENT_FORWARDS_MAX];
	uint16_t target[AGENT_FORWARDS_MAX];
	uint32_t count = length / AGENT_FORWARD_SIZE, port, i, opened = 0;
	int ret = 0;

	if (length % AGENT_FORWARD_SIZE || count > AGENT_FORWARDS_MAX)
		return EINVAL;
	end_child();
	for (i = 0; i < count && ret == 0; i++, payload += AGENT_FORWARD_SIZE) {
		/* cppcheck-suppress nullPointerArithmetic; no payload: count is 0 */
		port = agent_get32(payload + AGENT_FORWARD_AT_TARGET);
		if (port == 0 || port > UINT16_MAX)
			ret = -EINVAL;
		target[i] = (uint16_t)port;
		port = agent_get32(payload + AGENT_FORWARD_AT_PORT);
		/* A low port: no workload can have bound it first. */
		if (port > AGENT_SOURCE_PORT_MAX)
			ret = -EINVAL;
		if (ret == 0)
			ret = listener[i] = open_port(port);
		if (ret >= 0) {
			opened++;
			ret = 0;
		}
	}
	if (ret == 0 && count > 0) {
		network_low_ports();
		child = fork();
		if (child == 0)
			child_main(listener, target, count);
		ret = child < 0 ? -errno : 0;
	}
	for (i = 0; i < opened; i++)
		close(listener[i]);
	return (uint32_t)-ret;
}
