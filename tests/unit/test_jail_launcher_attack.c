/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher, with a monitor that was taken over and breaks the protocol. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/launcher_common.h"
#include "vmm/base/bytes.h"
#include "vmm/jail/launcher_internal.h"

static int raw_fd;
static pid_t raw_pid;

static void raw_setup(void)
{
	pid_t monitor = getpid();
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	raw_pid = fork();
	ck_assert_int_ge(raw_pid, 0);
	if (raw_pid == 0)
		launcher_serve(fd[1], monitor, &config);
	close(fd[1]);
	raw_fd = fd[0];
}

static void raw_teardown(void)
{
	close(raw_fd);
	ck_assert_int_eq(waitpid(raw_pid, NULL, 0), raw_pid);
}

static void raw_send(uint32_t kind, uint32_t id, int32_t value, size_t length, unsigned fds)
{
	const struct launcher_head head = {.kind = kind, .id = id, .value = value};
	static char bytes[LAUNCHER_BYTES];
	struct launcher_message message = {.bytes = bytes, .length = length, .fds = fds};
	unsigned i;

	for (i = 0; i < fds; i++)
		message.fd[i] = STDIN_FILENO;
	ck_assert_int_eq(launcher_send(raw_fd, &head, &message, 0), 0);
}

/* The kind of the next packet, 0 at the end of file. */
static uint32_t raw_receive(void)
{
	static struct launcher_packet packet;
	struct launcher_message message;
	struct pollfd fd = {.fd = raw_fd, .events = POLLIN};
	int ret;

	ck_assert_int_eq(poll(&fd, 1, HANG_MS), 1);
	ret = launcher_receive(raw_fd, &packet, &message, 0);
	ck_assert_int_ge(ret, 0);
	launcher_message_close(&message);
	return ret == 0 ? 0 : packet.head.kind;
}

/* The twin of all that follow: it goes on. */
static void still_works(void)
{
	raw_send(LAUNCHER_CALL, 0, REFUSE, 0, 0);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_END);
}

static const struct {
	uint32_t kind, id;
	int32_t value;
	size_t length;
	unsigned fds;
} broken[] = {
	{LAUNCHER_CALL, 0, SERVICES, 0, 0}, /* not in the table */
	{LAUNCHER_CALL, 0, -1, 0, 0},
	{LAUNCHER_CALL, 0, INT32_MIN, 0, 0},
	{LAUNCHER_CALL, LAUNCHER_CALLS, REFUSE, 0, 0}, /* too many at once */
	{LAUNCHER_CALL, UINT32_MAX, REFUSE, 0, 0},
	{LAUNCHER_CALL, 0, REFUSE, 9, 0}, /* longer than this request may be */
	{LAUNCHER_CALL, 0, ECHO, 0, 1},	  /* shorter */
	{LAUNCHER_CALL, 0, REFUSE, 0, 1}, /* a descriptor that it does not have */
	{LAUNCHER_CALL, 0, ECHO, 1, 0},	  /* none */
	{LAUNCHER_CALL, 0, ECHO, 1, 2},	  /* two */
	{LAUNCHER_CANCEL, LAUNCHER_CALLS, 0, 0, 0},
	{LAUNCHER_CANCEL, 0, 0, 1, 0},
	{LAUNCHER_CANCEL, 0, 0, 0, 1},
	{LAUNCHER_PART, 0, 0, 0, 0}, /* its own messages, and others */
	{LAUNCHER_END, 0, 0, 0, 0},
	{0, 0, 0, 0, 0},
	{UINT32_MAX, 0, 0, 0, 0},
};

START_TEST(a_broken_message_ends_it)
{
	still_works();
	raw_send(broken[_i].kind, broken[_i].id, broken[_i].value, broken[_i].length,
		 broken[_i].fds);
	ck_assert_uint_eq(raw_receive(), 0);
}
END_TEST

/* At the bounds of what the table says. */
START_TEST(a_message_at_the_bounds_does_not)
{
	raw_send(LAUNCHER_CALL, LAUNCHER_CALLS - 1, REFUSE, 8, 0);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_END);
	raw_send(LAUNCHER_CALL, 0, ECHO, LAUNCHER_BYTES, 1);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_PART);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_PART);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_END);
	/* A cancel that crosses the end of its call. */
	raw_send(LAUNCHER_CANCEL, 0, 0, 0, 0);
	still_works();
}
END_TEST

static void raw_packet(const void *bytes, size_t length, unsigned fds)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} space = {.bytes = {0}};
	struct msghdr packet = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *header;

	if (fds) {
		packet.msg_control = space.bytes;
		packet.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		header = CMSG_FIRSTHDR(&packet);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds * sizeof(int)); /* stdin, several times */
	}
	ck_assert_int_eq(sendmsg(raw_fd, &packet, MSG_NOSIGNAL), (ssize_t)length);
}

START_TEST(a_cut_message_ends_it)
{
	static struct {
		struct launcher_head head;
		char bytes[LAUNCHER_BYTES + 1];
	} message = {.head = {.kind = LAUNCHER_CALL, .value = ECHO}};
	const struct launcher_head refuses = {.kind = LAUNCHER_CALL, .value = REFUSE};

	raw_packet(&refuses, sizeof(refuses), 0);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_END);
	if (_i == 0) /* shorter than a head */
		raw_packet(&refuses, sizeof(refuses) - 1, 0);
	else if (_i == 1) /* longer than any */
		raw_packet(&message, sizeof(refuses) + LAUNCHER_BYTES + 1, 1);
	else if (_i == 2) /* more descriptors than any */
		raw_packet(&refuses, sizeof(refuses), LAUNCHER_FDS + 1);
	else /* empty */
		raw_packet(&refuses, 0, 0);
	ck_assert_uint_eq(raw_receive(), 0);
}
END_TEST

/* Another call in a place that is taken. */
START_TEST(a_place_is_used_once)
{
	raw_send(LAUNCHER_CALL, 5, HOLD, 0, 1);
	raw_send(LAUNCHER_CALL, 6, REFUSE, 0, 0);
	ck_assert_uint_eq(raw_receive(), LAUNCHER_END);
	raw_send(LAUNCHER_CALL, 5, REFUSE, 0, 0);
	ck_assert_uint_eq(raw_receive(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("launcher_attack");
	TCase *attack = tcase_create("attack");

	tcase_add_checked_fixture(attack, raw_setup, raw_teardown);
	tcase_add_loop_test(attack, a_broken_message_ends_it, 0, ARRAY_SIZE(broken));
	tcase_add_test(attack, a_message_at_the_bounds_does_not);
	tcase_add_loop_test(attack, a_cut_message_ends_it, 0, 4);
	tcase_add_test(attack, a_place_is_used_once);
	suite_add_tcase(s, attack);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
