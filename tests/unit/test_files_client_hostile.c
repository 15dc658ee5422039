/* SPDX-License-Identifier: Apache-2.0 */
/* A file server that lies, does not reply, or ends: the monitor's end of it. */
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/support/send_fds.h"
#include "tests/unit/files_client_common.h"
#include "vmm/policy/guard_remote.h"

/* The server's end, in this process. */
static struct {
	int fd, signal_fd;
	struct files_ring *ring;
	struct files_head last; /* of the client's messages */
	unsigned messages;
} fake;

static const struct fuse_in_header some = {
	.len = sizeof(some), .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID, .unique = 7};

static void put(const void *bytes, size_t length)
{
	ck_assert_int_eq(send(fake.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT),
			 (ssize_t)length);
}

static void put_reply(uint32_t number, int error)
{
	const struct files_head head = {.type = FILES_REPLY, .number = number, .error = error};

	put(&head, sizeof(head));
}

/* Takes what the client has sent. */
static void get(void)
{
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct files_add add;
	struct iovec part = {&add, sizeof(add)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
	int fd[2];

	for (;;) {
		message.msg_controllen = sizeof(control);
		if (recvmsg(fake.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return;
		fake.last = add.head;
		fake.messages++;
		if (!CMSG_FIRSTHDR(&message))
			continue;
		memset(fd, -1, sizeof(fd));
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)),
		       CMSG_FIRSTHDR(&message)->cmsg_len - CMSG_LEN(0));
		if (add.head.type == FILES_HELLO) {
			ck_assert_int_eq(files_ring_map(&fake.ring, fd[0]), 0);
			fake.signal_fd = fd[1];
			fd[1] = -1;
		}
		close(fd[0]);
		if (fd[1] >= 0)
			close(fd[1]);
	}
}

static void begin(void)
{
	const struct files_client_config config = {.ops = &told_ops};
	struct err err = {""};
	int pair[2];

	memset(&told, 0, sizeof(told));
	memset(&fake, 0, sizeof(fake));
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fake.fd = pair[1];
	ck_assert_int_eq(files_client_attach(&files, loop, pair[0], 0, &config, &err), 0);
	get();
	ck_assert_ptr_nonnull(fake.ring);
	put_reply(1, 0);
	run(5);
	ck_assert_uint_eq(told.died, 0);
}

static void end(void)
{
	end_server();
	loop_destroy(loop);
	files_ring_unmap(fake.ring);
	close(fake.signal_fd);
	if (fake.fd >= 0)
		close(fake.fd);
}

static void expect_violation(void)
{
	run_until(&told.died);
	ck_assert_uint_eq(told.died, 1);
	ck_assert_str_eq(told.why, "it violated its protocol");
	run(5);
	ck_assert_uint_eq(told.died, 1);
}

/* A request that is left to the loop. */
static unsigned leave_one(void)
{
	unsigned slot = post(&some, sizeof(some), 4096);
	const void *reply;
	size_t length;

	told.dones = 0;
	ck_assert(!files_client_wait(files, slot, 1000, &reply, &length));
	return slot;
}

static void signal_it(uint64_t count)
{
	ck_assert_int_eq(write(fake.signal_fd, &count, sizeof(count)), sizeof(count));
}

static void do_one(unsigned slot, uint32_t length)
{
	atomic_store(&fake.ring->slot[slot].reply, length);
	if (atomic_exchange(&fake.ring->slot[slot].state, FILES_DONE) & FILES_SIGNAL)
		signal_it(1);
}

/* --- the ring --------------------------------------------------------------------------------- */

START_TEST(a_server_that_works)
{
	const void *reply;
	size_t length;
	unsigned slot, i;

	begin();
	for (i = 0; i < 200; i++) {
		slot = leave_one();
		ck_assert_uint_eq(atomic_load(&fake.ring->slot[slot].state) &
					  ~(uint32_t)FILES_WAITING,
				  FILES_POSTED | FILES_SIGNAL);
		do_one(slot, 16 + i);
		run_until(&told.dones);
		files_client_reply(files, slot, &reply, &length);
		ck_assert_uint_eq(length, 16 + i);
		files_client_release(files, slot);
	}
	/* Done before it is waited for. */
	slot = post(&some, sizeof(some), 4096);
	do_one(slot, 20);
	ck_assert(files_client_wait(files, slot, 0, &reply, &length));
	ck_assert_uint_eq(length, 20);
	files_client_release(files, slot);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

START_TEST(a_length_is_at_most_the_room)
{
	const void *reply;
	size_t length;
	unsigned slot;

	begin();
	slot = leave_one();
	do_one(slot, 4096);
	run_until(&told.dones);
	files_client_reply(files, slot, &reply, &length);
	ck_assert_uint_eq(length, 4096);
	files_client_release(files, slot);
	slot = leave_one();
	do_one(slot, 4097);
	run_until(&told.dones);
	files_client_reply(files, slot, &reply, &length);
	ck_assert_uint_eq(length, 0);
	expect_violation();
	end();
	/* In the thread that waits. */
	begin();
	slot = post(&some, sizeof(some), FILES_REPLY_MAX + 100);
	do_one(slot, FILES_REPLY_MAX + 1);
	ck_assert(files_client_wait(files, slot, 1000, &reply, &length));
	ck_assert_uint_eq(length, 0);
	expect_violation();
	end();
	begin();
	slot = post(&some, sizeof(some), FILES_REPLY_MAX + 100);
	do_one(slot, FILES_REPLY_MAX);
	ck_assert(files_client_wait(files, slot, 1000, &reply, &length));
	ck_assert_uint_eq(length, FILES_REPLY_MAX);
	end();
}
END_TEST

/* Neither a state that changes all the time nor one that goes back holds anything up. */
START_TEST(states_that_play)
{
	static const uint32_t states[] = {FILES_FREE, 3, FILES_POSTED | FILES_LOCKED, UINT32_MAX,
					  FILES_WAITING};
	const void *reply;
	size_t length;
	unsigned slot, i;

	begin();
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		slot = post(&some, sizeof(some), 4096);
		atomic_store(&fake.ring->slot[slot].state, states[i]);
		ck_assert(!files_client_wait(files, slot, 200000, &reply, &length));
		atomic_store(&fake.ring->slot[slot].state, states[i]);
		signal_it(1);
		run(5);
		ck_assert_uint_eq(told.done[slot], 0);
	}
	/* Done, and then not: it is reported once. */
	slot = leave_one();
	do_one(slot, 16);
	run_until(&told.dones);
	do_one(slot, 16);
	atomic_store(&fake.ring->slot[slot].state, FILES_POSTED);
	run(5);
	ck_assert_uint_eq(told.dones, 1);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

/* So many signals as requests were left to the loop, and then it is killed. */
START_TEST(signals_are_counted)
{
	unsigned i;

	begin();
	for (i = 0; i < 8; i++)
		leave_one();
	/* Each may have begun to wait, too. */
	signal_it(8);
	run(5);
	signal_it(8);
	run(5);
	ck_assert_uint_eq(told.died, 0);
	signal_it(1);
	expect_violation();
	ck_assert_uint_eq(told.dones, 8);
	end();
	begin();
	signal_it(UINT64_MAX - 1);
	expect_violation();
	end();
	begin();
	leave_one();
	signal_it(UINT64_MAX - 1);
	expect_violation();
	end();
}
END_TEST

/* --- messages --------------------------------------------------------------------------------- */

START_TEST(bad_messages_end_it)
{
	static uint8_t bytes[FILES_MESSAGE_MAX + 1];
	const struct files_head report = {.type = FILES_REPORT};
	const struct files_head question = {.type = FILES_ASK, .value = 1 << FILES_TICKET_BITS};
	const struct files_head withdrawn = {.type = FILES_WITHDRAWN, .value = FILES_SLOTS};
	struct files_head good = {.type = FILES_REPLY, .number = 2};
	unsigned before;

	/* Too short, too long, unknown, one too many, out of order. */
	begin();
	put(bytes, sizeof(struct files_head) - 1);
	expect_violation();
	end();
	begin();
	put(bytes, sizeof(bytes));
	expect_violation();
	end();
	begin();
	put(bytes, sizeof(struct files_head));
	expect_violation();
	end();
	begin();
	put_reply(2, 0);
	expect_violation();
	end();
	begin();
	files_client_begin(files);
	put_reply(3, 0);
	expect_violation();
	end();
	/* A report where there is no guard. */
	begin();
	put(&report, sizeof(report));
	expect_violation();
	end();
	/* Questions: where there is no guard, and of a slot that is none. */
	begin();
	put(&question, sizeof(question));
	expect_violation();
	end();
	begin();
	put(&withdrawn, sizeof(withdrawn));
	expect_violation();
	end();
	/* A descriptor, which does not stay. */
	begin();
	files_client_begin(files);
	before = open_fds();
	ck_assert_int_eq(send_fds(fake.fd, &good, sizeof(good), 0, 1), (ssize_t)sizeof(good));
	expect_violation();
	ck_assert_uint_eq(open_fds(), before);
	end();
	/* The twin: the same without one. */
	begin();
	files_client_begin(files);
	put(&good, sizeof(good));
	run(5);
	ck_assert_uint_eq(told.died, 0);
	end();
}
END_TEST

START_TEST(errors_end_it)
{
	begin();
	files_client_begin(files);
	put_reply(2, -ENOMEM);
	run_until(&told.died);
	ck_assert_str_eq(told.why, "it cannot take the policy or a share");
	end();
}
END_TEST

static enum policy_verdict denies(struct guard *guard)
{
	return guard_check(guard,
			   &(struct policy_request){.class = POLICY_FILE,
						    .op = POLICY_WRITE,
						    .object = "/w/f",
						    .length = 4,
						    .root = 2},
			   NULL);
}

/* It does not say that it has taken a policy: it is killed, and the monitor goes on. */
START_TEST(a_policy_that_is_not_taken)
{
	struct files_client_config config = {.ops = &told_ops};
	struct err err = {""};
	uint64_t since;
	int pair[2];

	begin_host("file write /w/**\n", false);
	memset(&fake, 0, sizeof(fake));
	config.guard = host.guard;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fake.fd = pair[1];
	ck_assert_int_eq(files_client_attach(&files, loop, pair[0], 0, &config, &err), 0);
	get();
	put_reply(1, 0);
	put_reply(2, 0);
	run(5);
	ck_assert_int_eq(denies(host.guard), POLICY_ALLOW);
	since = loop_now_ns();
	files_host_replace(&host, "file read /w/**\n");
	ck_assert_uint_ge(loop_now_ns() - since, FILES_POLICY_MS * UINT64_C(900000));
	ck_assert_int_eq(denies(host.guard), POLICY_DENY);
	run_until(&told.died);
	files_host_replace(&host, "file write /w/**\n");
	ck_assert_int_eq(denies(host.guard), POLICY_ALLOW);
	end_files();
	files_ring_unmap(fake.ring);
	close(fake.signal_fd);
	close(fake.fd);
}
END_TEST

/* --- the end ---------------------------------------------------------------------------------- */

START_TEST(its_end_ends_requests)
{
	const void *reply;
	unsigned slot[8], late, i;
	size_t length = 9;
	void *buffer;

	begin();
	for (i = 0; i < 8; i++)
		slot[i] = leave_one();
	/* Sent, and waited for later. */
	late = post(&some, sizeof(some), 4096);
	do_one(slot[0], 16);
	close(fake.fd);
	fake.fd = -1;
	run_until(&told.died);
	ck_assert_str_eq(told.why, "it has closed its socket");
	ck_assert_uint_eq(told.dones, 8);
	files_client_reply(files, slot[0], &reply, &length);
	ck_assert_uint_eq(length, 16);
	for (i = 1; i < 8; i++) {
		files_client_reply(files, slot[i], &reply, &length);
		ck_assert_uint_eq(length, 0);
		files_client_release(files, slot[i]);
	}
	ck_assert(files_client_wait(files, late, 100000, &reply, &length));
	ck_assert_uint_eq(length, 0);
	/* It is used on. */
	i = (unsigned)files_client_take(files, 0, &buffer);
	files_client_send(files, i, 40, 100);
	ck_assert(!files_client_waits(files, i));
	ck_assert(files_client_wait(files, i, 0, &reply, &length));
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(files_client_limit(files, 1, 1), -EPIPE);
	ck_assert_int_eq(files_client_save(files, &(struct pack){.limit = 100}), -EPIPE);
	files_client_begin(files);
	files_client_hold(files, true);
	run(5);
	ck_assert_uint_eq(told.died, 1);
	end();
}
END_TEST

UNIT_MAIN("files_client_hostile", a_server_that_works, a_length_is_at_most_the_room,
	  states_that_play, signals_are_counted, bad_messages_end_it, errors_end_it,
	  a_policy_that_is_not_taken, its_end_ends_requests)
