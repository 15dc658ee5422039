/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay's process: what it inherits, and how its ends are noticed. This program stands for it,
 * under the name that it has, and acts as the card's MTU says.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/relay_client_common.h"
#include "vmm/base/exit_status.h"
#include "vmm/base/spawn.h"
#include "vmm/relay/link.h"
#include "vmm/policy/policy_copy.h"
#include "vmm/relay/relay.h"

/* The name by which this program runs as the relay itself. */
#define TRUE_RELAY "true-relay"

/* What the program does in place of the relay. */
enum act { WORK = 1, EXIT, CRASH, VIOLATE, HANG };

extern char **environ;

/* --- in the child ----------------------------------------------------------------------------- */

static void say(uint32_t type, const void *body, size_t length)
{
	struct iovec part[] = {{&type, sizeof(type)}, {(void *)(uintptr_t)body, length}};
	const struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

	if (sendmsg(RELAY_FD_MESSAGES, &message, MSG_NOSIGNAL) < 0)
		_exit(9);
}

static bool is_null(int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && a.st_rdev == b.st_rdev;
}

static unsigned open_fds(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What it has, as an event: descriptors, variables, and whether the policy can be read. */
static void say_what_there_is(void)
{
	struct fake_relay fake_end = {.messages = RELAY_FD_MESSAGES};
	struct relay_note note = {.what = "flow-end"};
	struct relay_config config;
	struct policy *policy = NULL;
	unsigned fds = open_fds();
	size_t length;
	struct pollfd more = {.fd = RELAY_FD_MESSAGES, .events = POLLIN};
	int policy_fd = -1;

	/* The policy follows the configuration, perhaps later. */
	poll(&more, 1, -1);
	fake_relay_get(&fake_end, &config, sizeof(config), &length, &policy_fd);
	if (policy_copy_read(policy_fd, &policy) < 0)
		_exit(8);
	snprintf(note.object, sizeof(note.object), "fds=%u null=%d%d env=%d rules=%zu group=%d",
		 fds, is_null(0), is_null(1), environ[0] != NULL,
		 policy_rule_count(policy, POLICY_NET), getpgrp() == getpid());
	policy_free(policy);
	say(RELAY_READY, NULL, 0);
	say(RELAY_NOTE, &note, sizeof(note));
}

static void wait_for_end(void)
{
	char byte;

	while (recv(RELAY_FD_MESSAGES, &byte, 1, 0) > 0)
		;
}

static int be_relay(void)
{
	uint8_t data[sizeof(uint32_t) + sizeof(struct relay_config)];
	struct relay_config config;

	if (recv(RELAY_FD_MESSAGES, data, sizeof(data), 0) != (ssize_t)sizeof(data))
		return 7;
	memcpy(&config, data + sizeof(uint32_t), sizeof(config));
	if (config.card.mtu == EXIT)
		return 3;
	if (config.card.mtu == CRASH)
		raise(SIGKILL);
	if (config.card.mtu == WORK)
		say_what_there_is();
	if (config.card.mtu == VIOLATE)
		say(99, NULL, 0);
	if (config.card.mtu != WORK)
		for (;;)
			pause(); /* does not end when its sockets are closed */
	wait_for_end();
	return 0;
}

/* --- in the test ------------------------------------------------------------------------------ */

static int start(enum act act, const char *program, struct err *err)
{
	static const char text[] = "policy 1\nnet allow tcp *:1\nnet allow tcp *:2\n";
	struct relay_client_config config = {.program = program};
	const struct policy_source source = {.name = "p"};
	struct policy *policy;
	int ret;

	memset(&told, 0, sizeof(told));
	config.relay.card.mtu = (uint16_t)act;
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	config.policy = policy;
	ret = relay_client_create(&client, loop, &config, &told_ops, NULL, err);
	policy_free(policy);
	return ret;
}

static void start_well(enum act act)
{
	struct err err = {""};

	ck_assert_msg(start(act, NULL, &err) == 0, "%s", err.text);
}

/* Runs until it has said or done something. */
static void wait_until(const unsigned *count)
{
	unsigned i;

	for (i = 0; i < 2000 && *count == 0; i++)
		fake_relay_run(loop, 5);
	ck_assert_uint_eq(*count, 1);
}

/* No child is left, not even a dead one. */
static void stop(void)
{
	relay_client_destroy(client);
	loop_destroy(loop);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

START_TEST(it_inherits_only_its_sockets)
{
	int secret = open("/etc/passwd", O_RDONLY), high = fcntl(secret, F_DUPFD, 500);

	ck_assert_int_ge(high, 500);
	start_well(WORK);
	wait_until(&told.notes);
	ck_assert_str_eq(told.object, "fds=5 null=11 env=0 rules=2 group=1");
	ck_assert(relay_client_has_room(client));
	close(secret);
	close(high);
	stop();
}
END_TEST

START_TEST(its_end_is_explained)
{
	start_well(EXIT);
	wait_until(&told.died);
	ck_assert_str_eq(told.why, "it exited with status 3");
	stop();
	start_well(CRASH);
	wait_until(&told.died);
	ck_assert_str_eq(told.why, "it was ended by signal 9");
	stop();
	/* It would not end by itself. */
	start_well(VIOLATE);
	wait_until(&told.died);
	ck_assert_str_eq(told.why, "it violated its protocol");
	stop();
}
END_TEST

START_TEST(it_is_ended)
{
	unsigned before = open_fds();
	uint64_t since;

	start_well(WORK);
	wait_until(&told.notes);
	stop();
	ck_assert_uint_eq(told.died, 0);
	/* One that does not end is killed. */
	start_well(HANG);
	fake_relay_run(loop, 20);
	since = loop_now_ns();
	stop();
	ck_assert_uint_ge(loop_now_ns() - since, 900000000);
	ck_assert_uint_lt(loop_now_ns() - since, 20000000000);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(a_program_that_is_not_there)
{
	unsigned before = open_fds();
	struct err err = {""};

	ck_assert_int_eq(start(WORK, "/nowhere/cordon", &err), -ENOENT);
	ck_assert_msg(strstr(err.text, "relay") != NULL, "%s", err.text);
	ck_assert_ptr_null(client);
	stop();
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

/* Who has 192.0.2.1? */
static const uint8_t arp[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 3, 4, 5, 6,   7, 8, 6,
				0,    1,    8,	  0,	6,    4,    0, 1, 2, 3, 4,   5, 6, 7,
				192,  0,    2,	  2,	0,    0,    0, 0, 0, 0, 192, 0, 2, 1};

static unsigned ready;

static void count_ready(void *arg, uint8_t *data, size_t length, int fd)
{
	uint32_t type;

	(void)arg;
	ck_assert(length >= sizeof(type) && fd < 0);
	memcpy(&type, data, sizeof(type));
	ready += type == RELAY_READY;
}

static void nothing(void *arg)
{
	(void)arg;
}

static const struct link_ops ready_ops = {.message = count_ready, .closed = nothing};

/* The relay's own program, confined, behind this end. */
START_TEST(the_true_relay_works)
{
	static const uint8_t header[RELAY_CLIENT_HEADER];
	const struct relay_card card = {.mac = {2, 3, 4, 5, 6, 7}, .configured = 1, .mtu = 1500};
	struct relay_publish port = {.address = ip_from4(0x7f000001), .guest_port = 80};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	char directory[] = "/tmp/cordon-test-relay.XXXXXX", path[64], own[PATH_MAX];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(at);
	struct err err = {""};

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/" TRUE_RELAY, directory);
	ck_assert_ptr_nonnull(realpath("/proc/self/exe", own));
	ck_assert_int_eq(symlink(own, path), 0);
	ck_assert_msg(start(WORK, path, &err) == 0, "%s", err.text);
	wait_until(&told.drained);
	relay_client_set_card(client, &card);
	relay_client_request_report(client);
	wait_until(&told.reported);
	ck_assert_uint_eq(relay_client_report(client)->total.flows, 0);
	relay_client_send(client, header, arp, sizeof(arp));
	wait_until(&told.frames);
	ck_assert_mem_eq(told.frame, card.mac, sizeof(card.mac));
	ck_assert_uint_eq(told.frame[21], 2); /* a reply */
	/* A port that is in use, and then no longer. */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	port.host_port = ntohs(at.sin_port);
	ck_assert_int_eq(relay_client_publish(client, &port), 0);
	wait_until(&told.published);
	ck_assert_int_eq(told.error, EADDRINUSE);
	close(fd);
	told.published = 0;
	ck_assert_int_eq(relay_client_publish(client, &port), 0);
	wait_until(&told.published);
	ck_assert_int_eq(told.error, 0);
	/* A client of it is a request for a verdict. */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	wait_until(&told.checks);
	ck_assert_int_eq(told.check.op, POLICY_LISTEN);
	ck_assert_uint_eq(told.check.port, 80);
	ck_assert_uint_eq(told.died, 0);
	close(fd);
	stop();
	unlink(path);
	rmdir(directory);
}
END_TEST

/* Its process without a client, behind `link`. */
static pid_t start_alone(const char *path, struct link **link, int *frames_fd)
{
	char *const argv[] = {(char[]){RELAY_CLIENT_PROGRAM}, NULL};
	struct relay_config config = {.card = {.mtu = 1500}};
	uint32_t type = RELAY_CONFIG;
	const struct iovec part[] = {{&type, sizeof(type)}, {&config, sizeof(config)}};
	int frames[2], messages[2], fd[5] = {-1, -1, STDERR_FILENO};
	pid_t pid;

	ck_assert_int_eq(link_pair(frames), 0);
	ck_assert_int_eq(link_pair(messages), 0);
	fd[3] = fcntl(frames[1], F_DUPFD_CLOEXEC, 10);
	fd[4] = fcntl(messages[1], F_DUPFD_CLOEXEC, 10);
	ck_assert_int_eq(spawn_program(&pid, SPAWN_SELF, path, argv, fd, ARRAY_SIZE(fd)), 0);
	close(fd[3]);
	close(fd[4]);
	close(frames[1]);
	close(messages[1]);
	*frames_fd = frames[0];
	ck_assert_int_eq(link_create(link, loop, messages[0], RELAY_MESSAGE_MAX, &ready_ops, NULL),
			 0);
	ck_assert(link_send(*link, part, ARRAY_SIZE(part)));
	return pid;
}

static void give_policy(struct link *link, bool good)
{
	const struct policy_source source = {.name = "p"};
	uint32_t type = RELAY_POLICY;
	const struct iovec part = {&type, sizeof(type)};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct policy *policy;

	if (good) {
		close(fd);
		ck_assert_int_eq(policy_parse(&policy, "policy 1\n", 9, &source, NULL), 0);
		ck_assert_int_eq(policy_copy_write(policy, POLICY_COPY_RELAY, &fd), 0);
		policy_free(policy);
	}
	ck_assert(link_send_fd(link, &part, 1, fd));
	close(fd);
}

/*
 * One that cannot read a policy, the first or a later one, ends: else its monitor would wait, and
 * its sandbox have a network on which nothing is open.
 */
START_TEST(a_relay_without_a_policy_ends)
{
	char directory[] = "/tmp/cordon-test-relay.XXXXXX", path[64], own[PATH_MAX];
	int good, status, frames_fd;
	struct link *link;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/" TRUE_RELAY, directory);
	ck_assert_ptr_nonnull(realpath("/proc/self/exe", own));
	ck_assert_int_eq(symlink(own, path), 0);
	for (good = 0; good < 2; good++) {
		ck_assert_int_eq(loop_create(&loop), 0);
		pid = start_alone(path, &link, &frames_fd);
		if (good)
			give_policy(link, true);
		give_policy(link, false);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker is no part of the relay, and ends in its jail */
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), EXIT_CORDON);
#endif
		ck_assert_int_ne(status, 0);
		/* It was ready with the good one alone. */
		ready = 0;
		fake_relay_run(loop, 20);
		ck_assert_uint_eq(ready, good);
		link_destroy(link);
		loop_destroy(loop);
		close(frames_fd);
	}
	unlink(path);
	rmdir(directory);
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {
		it_inherits_only_its_sockets, its_end_is_explained, it_is_ended,
		a_program_that_is_not_there,  the_true_relay_works, a_relay_without_a_policy_ends};
	const char *path = (const char *)getauxval(AT_EXECFN);

	if (argc == 1 && strcmp(argv[0], RELAY_CLIENT_PROGRAM) == 0)
		return path && strstr(path, TRUE_RELAY)
			       ? relay_main(RELAY_FD_FRAMES, RELAY_FD_MESSAGES)
			       : be_relay();
	return unit_run("relay_process", NULL, tests, ARRAY_SIZE(tests));
}
