/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: what the driver of our guest kernel says in open_flags of OPEN and CREATE. */
#include "tests/unit/fuse_common.h"

/* The open_flags of the reply to an OPEN. */
static uint32_t replied(const char *path, uint32_t flags, uint32_t asked)
{
	const struct fuse_open_in in = {.flags = flags, .open_flags = asked};
	uint64_t node = node_of(path);
	struct fuse_open_out open;

	ck_assert_int_eq(fc_call(client, FUSE_OPEN, node, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_take(client, &open, sizeof(open)), 0);
	ck_assert_int_eq(fc_release(client, node, open.fh), 0);
	return open.open_flags;
}

static bool is_quiet(const char *path, uint32_t flags, uint32_t asked)
{
	return replied(path, flags, asked) & FUSED_NOFLUSH;
}

static int create(const char *directory, const char *name, uint32_t asked,
		  struct fuse_open_out *open)
{
	const struct fuse_create_in in = {
		.flags = O_CREAT | O_EXCL | O_WRONLY, .mode = S_IFREG | 0644, .open_flags = asked};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int ret;

	fc_begin(client, FUSE_CREATE, node_of(directory));
	fc_bytes(client, &in, sizeof(in));
	fc_string(client, name);
	ret = fc_send(client);
	if (ret != 0)
		return ret;
	ck_assert_int_eq(fc_take(client, &out, sizeof(out)), 0);
	*open = out.open;
	return 0;
}

START_TEST(a_close_is_quiet_only_for_a_driver_that_unlocks)
{
	struct fuse_open_out open;

	begin_ruled(ruled, false);
	host.share.quiet_close = true;
	ck_assert(!is_quiet("d/f", O_RDONLY, 0));
	ck_assert(!is_quiet("d/f", O_RDWR, 0));
	ck_assert(is_quiet("d/f", O_RDONLY, FUSED_OPEN_NOFLUSH));
	ck_assert(is_quiet("d/f", O_RDWR, FUSED_OPEN_NOFLUSH));
	ck_assert_int_eq(create("d", "loud", 0, &open), 0);
	ck_assert_uint_eq(open.open_flags & FUSED_NOFLUSH, 0);
	ck_assert_int_eq(create("d", "quiet", FUSED_OPEN_NOFLUSH, &open), 0);
	ck_assert_uint_eq(open.open_flags & FUSED_NOFLUSH, FUSED_NOFLUSH);
	/* Where closing a file may report an error, only what is not written is quiet. */
	host.share.quiet_close = false;
	ck_assert(is_quiet("d/f", O_RDONLY, FUSED_OPEN_NOFLUSH));
	ck_assert(!is_quiet("d/f", O_RDWR, FUSED_OPEN_NOFLUSH));
	ck_assert(!is_quiet("d/f", O_WRONLY, FUSED_OPEN_NOFLUSH));
	end_ruled();
}
END_TEST

/* Locks of a share that the guest may write are unlocked by FLUSH, whatever is cached. */
START_TEST(a_loose_share_is_quiet_if_nothing_writes_it)
{
	files_host_begin_as(&host, NULL, false, FUSED_LOOSE, NULL);
	host_write(&host, "f", "x");
	ck_assert(!is_quiet("f", O_RDONLY, 0));
	ck_assert(is_quiet("f", O_RDONLY, FUSED_OPEN_NOFLUSH));
	files_host_end(&host);
	files_host_begin_as(&host, NULL, true, FUSED_LOOSE, NULL);
	host_write(&host, "f", "x");
	ck_assert(is_quiet("f", O_RDONLY, 0));
	files_host_end(&host);
}
END_TEST

START_TEST(what_exists_is_not_created_unseen)
{
	struct fuse_open_out open;
	uint64_t refused;

	begin_ruled(ruled, false);
	ck_assert_int_eq(symlink("nowhere", host_path(&host, "d/link")), 0);
	refused = fuse_stats().refused;
	ck_assert_int_eq(create("d", "f", FUSED_OPEN_UNSEEN, &open), EEXIST);
	ck_assert_int_eq(create("d", "link", FUSED_OPEN_UNSEEN, &open), EEXIST);
	ck_assert_int_eq(create("", "d", FUSED_OPEN_UNSEEN, &open), EEXIST);
	/* It is not a denial that the rules allow no creation here: the guest may only want to open
	 * it. */
	ck_assert_int_eq(create("read", "f", FUSED_OPEN_UNSEEN, &open), EEXIST);
	ck_assert_int_eq(create("denied", "f", FUSED_OPEN_UNSEEN, &open), EEXIST);
	ck_assert_uint_eq(fuse_stats().refused, refused);
	ck_assert_int_eq(create("read", "f", 0, &open), EACCES);
	ck_assert_uint_eq(fuse_stats().refused, refused + 1);
	ck_assert_str_eq(host_read(&host, "d/f"), "d");
	end_ruled();
}
END_TEST

START_TEST(what_is_missing_is_created_unseen_as_the_rules_say)
{
	struct fuse_open_out open;

	begin_ruled(ruled, false);
	ck_assert_int_eq(create("d", "new", FUSED_OPEN_UNSEEN, &open), 0);
	ck_assert_str_eq(host_read(&host, "d/new"), "");
	ck_assert_int_eq(create("log", "new", FUSED_OPEN_UNSEEN, &open), EACCES); /* O_WRONLY */
	ck_assert_int_eq(create("read", "new", FUSED_OPEN_UNSEEN, &open), EACCES);
	ck_assert_int_eq(create("denied", "new", FUSED_OPEN_UNSEEN, &open), EACCES);
	/* Hidden: the same whether it exists or not. */
	ck_assert_int_eq(create("d", ".env", FUSED_OPEN_UNSEEN, &open), EACCES);
	ck_assert_int_eq(create("log", ".env", FUSED_OPEN_UNSEEN, &open), EACCES);
	ck_assert(!host_has(&host, "read/new") && !host_has(&host, "log/.env"));
	end_ruled();
}
END_TEST

UNIT_MAIN("fuse_driver", a_close_is_quiet_only_for_a_driver_that_unlocks,
	  a_loose_share_is_quiet_if_nothing_writes_it, what_exists_is_not_created_unseen,
	  what_is_missing_is_created_unseen_as_the_rules_say)
