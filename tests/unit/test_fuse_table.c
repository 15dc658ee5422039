/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: what is remembered of files that can't carry it, in a table beside the session.
 */
#include "tests/unit/fuse_common.h"

#include <sys/prctl.h>

#include "vmm/base/pack.h"
#include "vmm/files/remember_table.h"

static struct pack saved;

/* Saves the session, and goes on with one that was restored from that. */
static void go_on(const char *root)
{
	struct fuse_session *session;
	struct fuse_entry_out entry;
	struct unpack from;

	saved = (struct pack){.data = NULL};
	fuse_session_save(client->session, &saved);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	fuse_session_destroy(client->session);
	ck_assert_int_eq(fuse_session_create(&session, NULL), 0);
	client->session = session;
	ck_assert_int_eq(fuse_session_add(session, root, &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(fuse_session_restore(session, &from), 0);
	ck_assert(unpack_done(&from));
	fuse_session_reopen(session);
	pack_free(&saved);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, root, &entry), 0);
	client->root = entry.nodeid;
}

START_TEST(links_and_the_hosts_special_files_have_owners)
{
	if (begin_remembering()) {
		ck_assert_int_eq(fc_symlink(client, ROOT, "s", "x"), 0);
		ck_assert_int_eq(chown_to(node_of("s"), 101000, 100007), 0);
		ck_assert_int_eq(mkfifo(host_path(&host, "host_fifo"), 0644), 0);
		ck_assert_int_eq(chown_to(node_of("host_fifo"), 101002, 100000), 0);
		ck_assert_int_eq(fc_setattr(client, node_of("s"), FATTR_MODE, 0777, 0), EOPNOTSUPP);
		client->uid = 101003;
		ck_assert_int_eq(fc_symlink(client, ROOT, "own", "x"), 0);
		ck_assert_uint_eq(attributes("own").uid, 101003);
		ck_assert_uint_eq(attributes("s").uid, 101000);
		ck_assert_uint_eq(attributes("s").gid, 100007);
		ck_assert_uint_eq(attributes("s").mode & S_IFMT, S_IFLNK);
		ck_assert_uint_eq(attributes("host_fifo").uid, 101002);
		ck_assert_uint_eq(on_host("s").st_uid, geteuid());
		ck_assert_int_eq(chown_to(node_of("s"), 5, 100007), EPERM);
		/* Another name, a copy of the session. */
		ck_assert_int_eq(fc_rename(client, ROOT, "s", ROOT, "t", 0), 0);
		ck_assert_uint_eq(attributes("t").uid, 101000);
		go_on("0");
		ck_assert_uint_eq(attributes("t").uid, 101000);
		ck_assert_uint_eq(attributes("own").uid, 101003);
		ck_assert_uint_eq(attributes("host_fifo").uid, 101002);
		/* It ends with the file, and with the session. */
		ck_assert_int_eq(fc_unlink(client, ROOT, "t"), 0);
		client->uid = 100000;
		ck_assert_int_eq(fc_symlink(client, ROOT, "t", "x"), 0);
		ck_assert_uint_eq(attributes("t").uid, 100000);
		ck_assert_int_eq(fc_rename(client, ROOT, "t", ROOT, "own", 0), 0);
		ck_assert_uint_eq(attributes("own").uid, 100000);
		ck_assert_uint_eq(attributes("host_fifo").uid, 101002);
		go_on("another");
		ck_assert_uint_eq(attributes("host_fifo").uid, 100000);
	}
	end_ruled();
}
END_TEST

START_TEST(what_may_not_be_written_has_owners)
{
	if (begin_remembering()) {
		ck_assert_int_eq(chown_to(node_of("f"), 101000, 100000), 0);
		ck_assert_int_eq(chmod(host_path(&host, "f"), 0444), 0);
		/* Root of the host writes all the same. */
		if (geteuid() == 0) {
			ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
			ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
		}
		ck_assert_int_ne(setxattr(host_path(&host, "f"), "user.test", "", 0, 0), 0);
		ck_assert_int_eq(chown_to(node_of("f"), 101002, 100003), 0);
		ck_assert_uint_eq(attributes("f").uid, 101002);
		ck_assert_uint_eq(attributes("f").gid, 100003);
		/* The attribute is as it was. */
		go_on("another");
		go_on("0");
		ck_assert_uint_eq(attributes("f").uid, 101000);
		if (geteuid() == 65534)
			ck_assert_int_eq(setresuid(0, 0, 0), 0);
	}
	end_ruled();
}
END_TEST

START_TEST(the_table_is_bounded)
{
	const struct remembered remembered = {.uid = 7, .gid = 8};
	struct remember_table *table = remember_table_create(), *copy = remember_table_create();
	struct remembered out = {.any = false};
	struct stat stat = {.st_dev = 5};
	dev_t devices[3] = {0, 5, 0};
	struct pack to = {.data = NULL};
	struct unpack from;
	uint32_t i, failed = 0;

	for (i = 0; i < FUSED_TABLE_MAX; i++) {
		stat.st_ino = i;
		failed += remember_table_set(table, -1, &stat, &remembered) != 0;
	}
	ck_assert_uint_eq(failed, 0);
	stat.st_ino = i;
	ck_assert_int_eq(remember_table_set(table, -1, &stat, &remembered), -ENOSPC);
	stat.st_ino = 9;
	ck_assert_int_eq(remember_table_set(table, -1, &stat, &remembered), 0);
	remember_table_drop(table, &stat);
	stat.st_ino = i;
	ck_assert_int_eq(remember_table_set(table, -1, &stat, &remembered), 0);
	ck_assert_uint_eq(remember_table_used(table), FUSED_TABLE_MAX);
	/* A copy, on another device. */
	remember_table_save(table, devices, 3, &to);
	ck_assert(!to.failed);
	from = (struct unpack){.data = to.data, .length = to.length};
	devices[1] = 6;
	ck_assert_int_eq(remember_table_restore(copy, devices, 3, &from), 0);
	ck_assert(unpack_done(&from));
	remember_table_get(copy, 0, &stat, &out);
	ck_assert(!out.any);
	ck_assert_uint_eq(remember_table_used(copy), FUSED_TABLE_MAX);
	/* Odd bytes. */
	remember_table_destroy(copy);
	copy = remember_table_create();
	from = (struct unpack){.data = to.data, .length = to.length - 1};
	ck_assert_int_eq(remember_table_restore(copy, devices, 3, &from), -EINVAL);
	from = (struct unpack){.data = to.data, .length = to.length};
	ck_assert_int_eq(remember_table_restore(copy, devices, 1, &from), -EINVAL);
	memset(to.data + 4 + 1 + 8 + 8 + 8 + 4, 0xff, 4); /* a user that the sandbox lacks */
	from = (struct unpack){.data = to.data, .length = to.length};
	ck_assert_int_eq(remember_table_restore(copy, devices, 3, &from), -EINVAL);
	pack_free(&to);
	remember_table_destroy(table);
	remember_table_destroy(copy);
}
END_TEST

UNIT_MAIN("fuse_table", links_and_the_hosts_special_files_have_owners,
	  what_may_not_be_written_has_owners, the_table_is_bounded)
