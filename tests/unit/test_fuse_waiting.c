/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server's locks: requests that wait for one, and bounds. */
#include "tests/unit/fuse_common.h"
#include "tests/unit/fuse_locks_common.h"

/* --- waiting ---------------------------------------------------------------------------------- */

/* A request of its own, which may wait: its message and number. */
struct waiter {
	uint8_t message[256];
	size_t length;
	uint64_t unique;
};

static int wait_lock(struct waiter *waiter, uint64_t owner, int type, uint64_t start, uint64_t end)
{
	int ret = fc_lock(client, FUSE_SETLKW, node, fh, owner, type, start, end, 0);

	waiter->length = client->length;
	waiter->unique = client->unique;
	memcpy(waiter->message, client->message, client->length);
	return ret;
}

static int again(const struct waiter *waiter)
{
	uint64_t unique = client->unique;
	int ret;

	client->length = waiter->length;
	client->unique = waiter->unique;
	memcpy(client->message, waiter->message, waiter->length);
	ret = fc_again(client);
	client->unique = unique;
	return ret;
}

static void assert_next(const struct waiter *waiter)
{
	uint64_t tag = 0;

	ck_assert(fuse_session_retry(client->session, &tag));
	ck_assert_uint_eq(tag, waiter->unique);
}

static void assert_no_next(void)
{
	uint64_t tag;

	ck_assert(!fuse_session_retry(client->session, &tag));
}

START_TEST(who_waits_gets_the_lock_in_turn)
{
	struct waiter first, second, third;
	int fd = begin_locks();

	ck_assert_int_eq(set(1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(wait_lock(&first, 2, F_WRLCK, 0, 4), FC_LATER);
	ck_assert_int_eq(wait_lock(&second, 3, F_WRLCK, 0, 4), FC_LATER);
	ck_assert_int_eq(wait_lock(&third, 4, F_RDLCK, 20, 29), 0);
	assert_no_next();
	ck_assert(!fuse_session_tick(client->session));
	ck_assert_uint_eq(fuse_stats().waiting, 2);
	ck_assert_int_eq(set(1, F_UNLCK, 0, 9), 0);
	assert_next(&first);
	ck_assert_int_eq(again(&first), 0);
	assert_next(&second);
	assert_no_next();
	ck_assert_int_eq(again(&second), FC_LATER);
	assert_no_next();
	ck_assert_int_eq(set(2, F_UNLCK, 0, 9), 0);
	assert_next(&second);
	ck_assert_int_eq(again(&second), 0);
	ck_assert_uint_eq(fuse_stats().waiting, 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(locks_of_the_host_are_waited_for)
{
	struct waiter waiter;
	int fd = begin_locks();

	ck_assert_int_eq(host_locks(fd, F_WRLCK), 0);
	ck_assert_int_eq(wait_lock(&waiter, 1, F_WRLCK, 0, ALL), FC_LATER);
	assert_no_next();
	ck_assert(fuse_session_tick(client->session));
	assert_next(&waiter);
	ck_assert_int_eq(again(&waiter), FC_LATER);
	ck_assert_int_eq(host_locks(fd, F_UNLCK), 0);
	ck_assert(fuse_session_tick(client->session));
	assert_next(&waiter);
	ck_assert_int_eq(again(&waiter), 0);
	ck_assert(!fuse_session_tick(client->session));
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(an_interrupt_ends_waiting)
{
	struct fuse_interrupt_in in;
	struct waiter waiter;
	int fd = begin_locks();

	ck_assert_int_eq(set(1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(wait_lock(&waiter, 2, F_WRLCK, 0, 4), FC_LATER);
	in.unique = waiter.unique;
	ck_assert_int_eq(fc_call(client, FUSE_INTERRUPT, 0, &in, sizeof(in)), FC_NONE);
	assert_next(&waiter);
	ck_assert_int_eq(again(&waiter), EINTR);
	ck_assert_uint_eq(fuse_stats().waiting, 0);
	/* On another queue it may come first: the client's next number but one. */
	in.unique = client->unique + 2;
	ck_assert_int_eq(fc_call(client, FUSE_INTERRUPT, 0, &in, sizeof(in)), FC_NONE);
	ck_assert_int_eq(wait_lock(&waiter, 2, F_WRLCK, 0, 4), EINTR);
	ck_assert_int_eq(wait_lock(&waiter, 2, F_WRLCK, 0, 4), FC_LATER);
	/* The device was reset. */
	fuse_session_cancel(client->session, waiter.unique);
	ck_assert_int_eq(set(1, F_UNLCK, 0, 9), 0);
	assert_no_next();
	ck_assert_uint_eq(fuse_stats().waiting, 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(a_deadlock_is_found)
{
	struct waiter one, two, three;
	int fd = begin_locks();

	ck_assert_int_eq(set(1, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set(2, F_WRLCK, 1, 1), 0);
	ck_assert_int_eq(set(3, F_WRLCK, 2, 2), 0);
	ck_assert_int_eq(wait_lock(&one, 1, F_WRLCK, 1, 1), FC_LATER);
	ck_assert_int_eq(wait_lock(&two, 2, F_WRLCK, 2, 2), FC_LATER);
	ck_assert_int_eq(wait_lock(&three, 3, F_WRLCK, 0, 0), EDEADLK);
	ck_assert_int_eq(wait_lock(&three, 4, F_WRLCK, 0, 0), FC_LATER);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(waiting_ends_with_the_file_or_the_root)
{
	struct fuse_open_out other;
	struct waiter waiter;
	uint64_t kept = 0;
	int fd = begin_locks();

	kept = fh;
	ck_assert_int_eq(set(1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(fc_open(client, node, O_RDWR, &other), 0);
	fh = other.fh;
	ck_assert_int_eq(wait_lock(&waiter, 2, F_WRLCK, 0, 4), FC_LATER);
	ck_assert_int_eq(fc_release(client, node, other.fh), 0);
	assert_next(&waiter);
	ck_assert_int_eq(again(&waiter), EBADF);
	fh = kept;
	ck_assert_int_eq(wait_lock(&waiter, 2, F_WRLCK, 0, 4), FC_LATER);
	ck_assert_int_eq(fuse_session_remove(client->session, "0"), 0);
	assert_next(&waiter);
	ck_assert_int_eq(again(&waiter), ESTALE);
	ck_assert_uint_eq(fuse_stats().waiting, 0);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	ck_assert_uint_eq(fuse_stats().open, 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

/* --- bounds ----------------------------------------------------------------------------------- */

START_TEST(locks_and_waiting_requests_are_bounded)
{
	struct waiter waiter;
	unsigned i;
	int ret = 0, fd = begin_locks();

	for (i = 0; ret == 0 && i <= FUSED_LOCKS_MAX; i++)
		ret = set(1, F_WRLCK, 2 * i, 2 * i);
	ck_assert_int_eq(ret, ENOLCK);
	ck_assert_uint_ge(i, FUSED_LOCKS_MAX - 1);
	ck_assert_uint_le(fuse_stats().locks, FUSED_LOCKS_MAX);
	ck_assert_int_eq(set(1, F_UNLCK, 2, 2), 0);
	ck_assert_int_eq(set(1, F_WRLCK, 2, 2), 0);
	ck_assert_int_eq(set(1, F_UNLCK, 0, ALL), 0);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	ck_assert_int_eq(set(1, F_WRLCK, 0, 9), 0);
	for (i = 0; i < FUSED_WAITING_MAX; i++)
		ck_assert_int_eq(wait_lock(&waiter, 2 + i, F_WRLCK, 0, 9), FC_LATER);
	ck_assert_int_eq(wait_lock(&waiter, 1000, F_WRLCK, 0, 9), ENOLCK);
	ck_assert_uint_eq(fuse_stats().waiting, FUSED_WAITING_MAX);
	ck_assert_int_eq(set(1000, F_WRLCK, 10, 19), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(locks_of_all_sessions_are_bounded)
{
	struct fuse_session *session[FUSED_LOCKS_ALL / FUSED_LOCKS_MAX + 1];
	struct fuse_session *mine;
	struct fuse_entry_out entry;
	struct fuse_init_out init;
	unsigned i, n, all = 0;

	/* Read-only, so that the host has not to keep so many. */
	begin_fuse(NULL, true);
	host_write(&host, "f", "x");
	mine = client->session;
	for (n = 0; n < ARRAY_SIZE(session); n++) {
		ck_assert_int_eq(fuse_session_create(&session[n], NULL), 0);
		ck_assert_int_eq(fuse_session_add(session[n], "0", &host.share, FUSED_STRICT), 0);
		client->session = session[n];
		ck_assert_int_eq(fc_init(client, 0, &init), 0);
		ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
		client->root = entry.nodeid;
		fh = opened("f", O_RDONLY, &node);
		for (i = 0; i < FUSED_LOCKS_MAX; i++)
			if (set(1, F_RDLCK, 2 * i, 2 * i) == 0)
				all++;
	}
	ck_assert_uint_le(all, FUSED_LOCKS_ALL);
	ck_assert_uint_ge(all, FUSED_LOCKS_ALL - 2 * ARRAY_SIZE(session));
	for (n = 0; n < ARRAY_SIZE(session); n++)
		fuse_session_destroy(session[n]);
	client->session = mine;
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_waiting", who_waits_gets_the_lock_in_turn, locks_of_the_host_are_waited_for,
	  an_interrupt_ends_waiting, a_deadlock_is_found, waiting_ends_with_the_file_or_the_root,
	  locks_and_waiting_requests_are_bounded, locks_of_all_sessions_are_bounded)
