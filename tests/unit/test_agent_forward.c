/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's forwarder of published ports, as a child of the test. Its vsock sockets are Unix
 * sockets here; the test says which CID connects to them.
 */
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "tests/unit/agent_forward_common.h"

#define socket(family, type, protocol) fake_socket(family, type, protocol)
#define bind(fd, address, length)      fake_bind(fd, address, length)
#define accept4(fd, at, length, flags) fake_accept4(fd, at, length, flags)
#define setgroups(count, list)	       fake_become()
#define setresuid(a, b, c)	       fake_become()
#define setresgid(a, b, c)	       fake_become()
#include "guest-kernel/agent/forward.c" /* its child has no other face */
#undef socket
#undef bind
#undef accept4

/* --- two ends --------------------------------------------------------------------------------- */

#define PORT 600u

static int server;
static uint16_t server_port;

/* A server at a free port of the loopback. */
static void listen_somewhere(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);

	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(server, 512), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&at, &length), 0);
	server_port = ntohs(at.sin_port);
}

static uint32_t forward_to(uint32_t port, uint32_t target)
{
	uint8_t payload[AGENT_FORWARD_SIZE];

	agent_put32(payload + AGENT_FORWARD_AT_PORT, port);
	agent_put32(payload + AGENT_FORWARD_AT_TARGET, target);
	return forward_set(payload, sizeof(payload));
}

static void begin(void)
{
	strcpy(directory, "/tmp/cordon-forward-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	cid = mmap(NULL, sizeof(*cid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(cid, MAP_FAILED);
	*cid = HOST_CID;
	listen_somewhere();
	ck_assert_uint_eq(forward_to(PORT, server_port), 0);
	ck_assert_int_gt(child, 0);
}

static void end(void)
{
	struct sockaddr_un path = path_of(PORT);

	ck_assert_uint_eq(forward_set(NULL, 0), 0);
	ck_assert_int_eq(child, 0);
	close(server);
	unlink(path.sun_path);
	rmdir(directory);
}

static int visit(void)
{
	struct sockaddr_un path = path_of(PORT);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&path, sizeof(path)), 0);
	return fd;
}

static int take_one(void)
{
	int fd = accept(server, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void hear(int fd, const char *text)
{
	size_t length = strlen(text), got = 0;
	char heard[64];
	ssize_t n;

	for (; got < length; got += (size_t)n) {
		n = recv(fd, heard + got, length - got, 0);
		ck_assert_int_gt(n, 0);
	}
	ck_assert_mem_eq(heard, text, length);
}

/* The other end has closed; a reset is an end, too. */
static void hear_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	ck_assert_msg(n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)), "%zd", n);
}

START_TEST(bytes_go_both_ways_and_each_end_is_its_own)
{
	int client, at;

	begin();
	client = visit();
	say(client, "a question");
	at = take_one();
	hear(at, "a question");
	shutdown(client, SHUT_WR);
	hear_end(at);
	say(at, "an answer");
	hear(client, "an answer");
	close(at);
	hear_end(client);
	close(client);
	/* The other way round: the server has said all that it will. */
	client = visit();
	at = take_one();
	say(at, "welcome");
	shutdown(at, SHUT_WR);
	hear(client, "welcome");
	hear_end(client);
	say(client, "a letter");
	close(client);
	hear(at, "a letter");
	hear_end(at);
	close(at);
	end();
}
END_TEST

START_TEST(clients_of_an_unserved_port_are_disconnected)
{
	int client, at;

	begin();
	close(server);
	client = visit();
	hear_end(client);
	close(client);
	/* One comes later, at the same port. */
	listen_somewhere();
	ck_assert_uint_eq(forward_to(PORT, server_port), 0);
	client = visit();
	at = take_one();
	say(at, "now");
	hear(client, "now");
	close(at);
	close(client);
	end();
}
END_TEST

START_TEST(clients_other_than_the_monitor_are_disconnected)
{
	struct pollfd pollfd;
	int client, at;

	begin();
	*cid = 3; /* the guest itself */
	client = visit();
	hear_end(client);
	close(client);
	pollfd = (struct pollfd){.fd = server, .events = POLLIN};
	ck_assert_int_eq(poll(&pollfd, 1, 0), 0);
	*cid = HOST_CID;
	client = visit();
	at = take_one();
	say(client, "me");
	hear(at, "me");
	close(at);
	close(client);
	end();
}
END_TEST

#define MANY (1u << 20)

/* Sends many bytes and reads as many, both as far as it goes; those that were wrong. */
static size_t exchange(int fd, size_t sent, size_t got)
{
	struct pollfd pollfd = {.fd = fd};
	uint8_t bytes[8192];
	size_t wrong = 0, i;
	ssize_t n;

	while (sent < MANY || got < MANY) {
		pollfd.events = (short)((got < MANY ? POLLIN : 0) | (sent < MANY ? POLLOUT : 0));
		poll(&pollfd, 1, -1);
		if (pollfd.revents & POLLOUT) {
			for (i = 0; i < sizeof(bytes); i++)
				bytes[i] = (uint8_t)((sent + i) * 7 >> 2);
			n = send(fd, bytes, min_u64(sizeof(bytes), MANY - sent),
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			sent += n > 0 ? (size_t)n : 0;
		}
		if (pollfd.revents & (POLLIN | POLLHUP | POLLERR)) {
			n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN))
				return wrong + MANY - got;
			for (i = 0; n > 0 && i < (size_t)n; i++, got++)
				wrong += bytes[i] != (uint8_t)(got * 7 >> 2);
		}
	}
	return wrong;
}

START_TEST(many_bytes_both_ways_at_once)
{
	int client, at, status;
	pid_t other;

	begin();
	client = visit();
	at = take_one();
	other = fork();
	if (other == 0)
		_exit(exchange(at, 0, 0) == 0 ? 0 : 1);
	ck_assert_uint_eq(exchange(client, 0, 0), 0);
	ck_assert_int_eq(waitpid(other, &status, 0), other);
	ck_assert_int_eq(status, 0);
	close(at);
	close(client);
	end();
}
END_TEST

START_TEST(clients_beyond_the_limit_wait)
{
	int client[PAIRS_MAX + 3], at[PAIRS_MAX + 3];
	unsigned i;

	begin();
	for (i = 0; i < PAIRS_MAX; i++) {
		client[i] = visit();
		at[i] = take_one();
	}
	for (; i < ARRAY_SIZE(client); i++) {
		client[i] = visit();
		say(client[i], "waiting");
	}
	/* Those that are served are; as one goes, the next one comes. */
	say(client[5], "served");
	hear(at[5], "served");
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(poll(&(struct pollfd){.fd = server, .events = POLLIN}, 1, 0), 0);
		close(at[i]);
		hear_end(client[i]);
		close(client[i]);
		at[PAIRS_MAX + i] = take_one();
		hear(at[PAIRS_MAX + i], "waiting");
	}
	for (i = 3; i < ARRAY_SIZE(client); i++) {
		close(client[i]);
		hear_end(at[i]);
		close(at[i]);
	}
	end();
}
END_TEST

START_TEST(ends_that_vanish_leave_the_others_alone)
{
	static const struct linger at_once = {.l_onoff = 1};
	int stays, serves, client, at;
	unsigned round;

	begin();
	stays = visit();
	serves = take_one();
	for (round = 0; round < 200; round++) {
		client = visit();
		if (round % 4 == 0) { /* before it is served */
			close(client);
			close(take_one());
			continue;
		}
		at = take_one();
		if (round % 4 == 1) {
			setsockopt(at, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
			close(at);
			hear_end(client);
			close(client);
		} else {
			say(client, "unread");
			if (round % 4 == 2)
				say(at, "nor this");
			close(client);
			close(at);
		}
	}
	say(stays, "still here");
	hear(serves, "still here");
	close(stays);
	close(serves);
	end();
}
END_TEST

START_TEST(malformed_requests_are_refused)
{
	uint8_t payload[(AGENT_FORWARDS_MAX + 1) * AGENT_FORWARD_SIZE];
	uint32_t i;

	begin();
	for (i = 1; i < AGENT_FORWARD_SIZE; i++)
		ck_assert_uint_eq(forward_set(payload, AGENT_FORWARD_SIZE + i), EINVAL);
	ck_assert_uint_eq(forward_set(payload, sizeof(payload)), EINVAL);
	/* They changed nothing; what follows ends what was, as a good one would. */
	ck_assert_int_gt(child, 0);
	ck_assert_uint_eq(forward_to(PORT, 0), EINVAL);
	ck_assert_int_eq(child, 0);
	ck_assert_uint_eq(forward_to(PORT, UINT16_MAX + 1), EINVAL);
	ck_assert_uint_eq(forward_to(AGENT_SOURCE_PORT_MAX + 1, 80), EINVAL);
	ck_assert_uint_eq(forward_to(UINT32_MAX, 80), EINVAL);
	ck_assert_int_eq(child, 0);
	/* One of several: none. */
	for (i = 0; i < 2; i++) {
		agent_put32(payload + i * AGENT_FORWARD_SIZE + AGENT_FORWARD_AT_PORT, PORT + i);
		agent_put32(payload + i * AGENT_FORWARD_SIZE + AGENT_FORWARD_AT_TARGET, i ? 0 : 80);
	}
	ck_assert_uint_eq(forward_set(payload, 2 * AGENT_FORWARD_SIZE), EINVAL);
	ck_assert_int_eq(child, 0);
	ck_assert_uint_eq(forward_to(PORT, server_port), 0);
	ck_assert_int_gt(child, 0);
	end();
}
END_TEST

START_TEST(a_new_request_replaces_the_old_one)
{
	pid_t former;
	int client, at;

	begin();
	client = visit();
	at = take_one();
	former = child;
	ck_assert(!forward_ended(former + 1));
	ck_assert_uint_eq(forward_to(PORT, server_port), 0);
	ck_assert_int_ne(child, former);
	hear_end(client);
	hear_end(at);
	close(client);
	close(at);
	client = visit();
	at = take_one();
	say(client, "anew");
	hear(at, "anew");
	/* One that dies is noticed once. */
	former = child;
	kill(former, SIGKILL);
	ck_assert_int_eq(waitpid(former, NULL, 0), former);
	ck_assert(forward_ended(former));
	ck_assert(!forward_ended(former));
	hear_end(client);
	close(client);
	close(at);
	end();
}
END_TEST

UNIT_MAIN("agent_forward", bytes_go_both_ways_and_each_end_is_its_own,
	  clients_of_an_unserved_port_are_disconnected,
	  clients_other_than_the_monitor_are_disconnected, many_bytes_both_ways_at_once,
	  clients_beyond_the_limit_wait, ends_that_vanish_leave_the_others_alone,
	  malformed_requests_are_refused, a_new_request_replaces_the_old_one)
