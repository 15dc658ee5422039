/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server's sessions: INIT, roots, lookups and what the guest forgets, no_open. */
#include "tests/unit/fuse_common.h"

#include "vmm/base/fd.h"

/* --- INIT ------------------------------------------------------------------------------------- */

START_TEST(only_what_is_implemented_is_negotiated)
{
	const uint64_t wanted = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC |
				FUSE_BIG_WRITES | FUSE_FLOCK_LOCKS | FUSE_DO_READDIRPLUS |
				FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
				FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_HANDLE_KILLPRIV_V2 |
				FUSE_INIT_EXT | FUSED_DIRECT_IO_ALLOW_MMAP |
				FUSED_NO_EXPORT_SUPPORT;
	struct fuse_init_out out;

	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_init(client, UINT64_MAX, &out), 0);
	ck_assert_uint_eq(out.major, FUSE_KERNEL_VERSION);
	ck_assert_uint_eq(out.minor, FUSED_MINOR);
	ck_assert_uint_eq((uint64_t)out.flags2 << 32 | out.flags, wanted);
	ck_assert_uint_eq(out.max_write, FUSED_DATA_MAX);
	ck_assert_uint_eq(out.max_pages, FUSED_DATA_MAX / 4096);
	ck_assert_uint_eq(out.time_gran, 1);
	/* What the guest does not offer it does not get. */
	ck_assert_int_eq(fc_init(client, FUSE_ASYNC_READ | FUSE_WRITEBACK_CACHE, &out), 0);
	ck_assert_uint_eq(out.flags, FUSE_ASYNC_READ | FUSE_INIT_EXT);
	ck_assert_uint_eq(out.flags2, 0);
	files_host_end(&host);
}
END_TEST

static int init_version(uint32_t major, uint32_t minor, struct fuse_init_out *out)
{
	const struct fuse_init_in in = {.major = major, .minor = minor};
	int ret = fc_call(client, FUSE_INIT, 0, &in, offsetof(struct fuse_init_in, flags2));

	return ret == 0 ? fc_take(client, out, sizeof(*out)) : ret;
}

START_TEST(versions_are_agreed_on)
{
	struct fuse_init_out out;
	struct fuse_attr attr;

	begin_fuse(NULL, false);
	ck_assert_int_eq(init_version(6, 40, &out), EPROTO);
	ck_assert_int_eq(init_version(7, FUSED_MINOR_MIN - 1, &out), EPROTO);
	ck_assert_int_eq(init_version(7, FUSED_MINOR_MIN, &out), 0);
	ck_assert_uint_eq(out.minor, FUSED_MINOR_MIN);
	ck_assert_int_eq(init_version(7, 99, &out), 0);
	ck_assert_uint_eq(out.minor, FUSED_MINOR);
	/* A newer protocol: our version, and nothing has begun. */
	ck_assert_int_eq(fc_call(client, FUSE_DESTROY, 0, NULL, 0), 0);
	ck_assert_int_eq(init_version(8, 0, &out), 0);
	ck_assert_uint_eq(out.major, 7);
	ck_assert_int_eq(fc_getattr(client, FUSE_ROOT_ID, &attr), EIO);
	ck_assert_int_eq(init_version(7, 41, &out), 0);
	ck_assert_int_eq(fc_getattr(client, FUSE_ROOT_ID, &attr), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(another_init_or_an_unmount_begins_anew)
{
	struct fuse_entry_out entry;
	struct fuse_init_out init;
	struct fuse_attr attr;
	uint64_t node, fh;
	unsigned way;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	for (way = 0; way < 2; way++) {
		fh = opened("f", O_RDWR, &node);
		ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, INT64_MAX, 0),
				 0);
		if (way == 1)
			ck_assert_int_eq(fc_call(client, FUSE_DESTROY, 0, NULL, 0), 0);
		ck_assert_int_eq(fc_init(client, UINT64_MAX, &init), 0);
		ck_assert_int_eq(fc_getattr(client, node, &attr), ESTALE);
		ck_assert_int_eq(fc_release(client, node, fh), EBADF);
		ck_assert_uint_eq(fuse_stats().open, 0);
		ck_assert_uint_eq(fuse_stats().nodes, 0);
		ck_assert_uint_eq(fuse_stats().locks, 0);
		ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
		ck_assert_uint_eq(entry.nodeid, client->root);
	}
	files_host_end(&host);
}
END_TEST

/* --- roots ------------------------------------------------------------------------------------ */

START_TEST(the_top_lists_roots_and_can_not_be_changed)
{
	struct fuse_open_out open;
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	char names[256];
	unsigned told;
	uint64_t fh;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(fuse_session_add(client->session, "rootfs", &host.share, FUSED_LOOSE), 0);
	ck_assert_int_eq(fc_getattr(client, FUSE_ROOT_ID, &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFDIR | 0555);
	ck_assert_int_eq(fc_opendir(client, FUSE_ROOT_ID, &fh), 0);
	ck_assert_int_eq(fc_list(client, FUSE_ROOT_ID, fh, 4096, names, sizeof(names), NULL), 0);
	ck_assert_str_eq(names, ".\n..\n0\nrootfs\n");
	ck_assert_int_eq(fc_list(client, FUSE_ROOT_ID, fh, 32, names, sizeof(names), NULL), 0);
	ck_assert_str_eq(names, ".\n..\n0\nrootfs\n");
	ck_assert_int_eq(fc_list(client, FUSE_ROOT_ID, fh, 24, names, sizeof(names), NULL), EINVAL);
	ck_assert_int_eq(fc_list(client, FUSE_ROOT_ID, fh, 4096, names, sizeof(names), &told), 0);
	ck_assert_str_eq(names, ".\n..\n0\nrootfs\n");
	ck_assert_int_eq(fc_call(client, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0), 0);
	ck_assert_int_eq(fc_mkdir(client, FUSE_ROOT_ID, "d", 0755), EROFS);
	ck_assert_int_eq(fc_rmdir(client, FUSE_ROOT_ID, "0"), EROFS);
	ck_assert_int_eq(fc_rename(client, FUSE_ROOT_ID, "0", ROOT, "d", 0), EROFS);
	ck_assert_int_eq(fc_setattr(client, FUSE_ROOT_ID, FATTR_MODE, 0777, 0), EROFS);
	ck_assert_int_eq(fc_open(client, FUSE_ROOT_ID, O_RDONLY, &open), EISDIR);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "1", &entry), ENOENT);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "..", &entry), EINVAL);
	/* Nothing goes from one root to another, though here they are the same directory. */
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "rootfs", &entry), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", entry.nodeid, "g", 0), EXDEV);
	ck_assert_int_eq(fc_link(client, entry.nodeid, "g", node_of("f")), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", FUSE_ROOT_ID, "g", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "f", ROOT, "g", 0), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(roots_come_and_go)
{
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	uint64_t node, fh;
	char name[16];
	unsigned i;
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	fh = opened("f", O_RDONLY, &node);
	ck_assert_int_eq(fuse_session_add(client->session, "0", &host.share, 0), -EEXIST);
	ck_assert_int_eq(fuse_session_add(client->session, "a/b", &host.share, 0), -EINVAL);
	ck_assert_int_eq(fuse_session_add(client->session, "..", &host.share, 0), -EINVAL);
	ck_assert_int_eq(fuse_session_add(client->session, "a-name-of-thirty-two-characters-",
					  &host.share, 0),
			 -EINVAL);
	for (i = 1; i < FUSED_ROOTS_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(fuse_session_add(client->session, name, &host.share, 0), 0);
	}
	ck_assert_int_eq(fuse_session_add(client->session, "more", &host.share, 0), -ENOSPC);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, name, &entry), 0);
	ck_assert_int_eq(fuse_session_remove(client->session, "more"), -ENOENT);
	ck_assert_int_eq(fuse_session_remove(client->session, "0"), 0);
	ck_assert_int_eq(fc_getattr(client, node, &attr), ESTALE);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, name, &n), ESTALE);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), ENOENT);
	/* Another one in its place is not mistaken for it. */
	ck_assert_int_eq(fuse_session_add(client->session, "0", &host.share, 0), 0);
	ck_assert_int_eq(fc_getattr(client, ROOT, &attr), ESTALE);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
	ck_assert_uint_ne(entry.nodeid, client->root);
	ck_assert_int_eq(fc_getattr(client, entry.nodeid, &attr), 0);
	ck_assert_int_eq(fc_getattr(client, node, &attr), ESTALE);
	files_host_end(&host);
}
END_TEST

/* --- lookups ---------------------------------------------------------------------------------- */

START_TEST(a_node_lives_as_long_as_the_guest_knows_of_it)
{
	struct fuse_entry_out first, again;
	struct fuse_attr attr;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "x");
	ck_assert_int_eq(fc_lookup(client, node_of("d"), "f", &first), 0);
	ck_assert_int_eq(fc_lookup(client, node_of("d"), "f", &again), 0);
	ck_assert_uint_eq(again.nodeid, first.nodeid);
	ck_assert_int_eq(fc_forget(client, first.nodeid, 1), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, first.nodeid, &attr), 0);
	ck_assert_int_eq(fc_forget(client, first.nodeid, 1), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, first.nodeid, &attr), ESTALE);
	ck_assert_uint_eq(fuse_stats().nodes, 1);
	/* Its number does not come again. */
	ck_assert_int_eq(fc_lookup(client, node_of("d"), "f", &again), 0);
	ck_assert_uint_ne(again.nodeid, first.nodeid);
	/* More than was told of it, for what is unknown, and for what is never forgotten. */
	ck_assert_int_eq(fc_forget(client, again.nodeid, UINT64_MAX), FC_NONE);
	ck_assert_int_eq(fc_forget(client, again.nodeid, 1), FC_NONE);
	ck_assert_int_eq(fc_forget(client, first.nodeid, 1), FC_NONE);
	ck_assert_int_eq(fc_forget(client, 0, 1), FC_NONE);
	ck_assert_int_eq(fc_forget(client, UINT64_MAX, 1), FC_NONE);
	ck_assert_int_eq(fc_forget(client, FUSE_ROOT_ID, 1), FC_NONE);
	ck_assert_int_eq(fc_forget(client, ROOT, UINT64_MAX), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, ROOT, &attr), 0);
	ck_assert_int_eq(fc_forget(client, node_of("d"), 100), FC_NONE);
	ck_assert_uint_eq(fuse_stats().nodes, 0);
	files_host_end(&host);
}
END_TEST

START_TEST(many_nodes_are_forgotten_at_once)
{
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one one[3];
	} in = {.head.count = 3};
	struct fuse_attr attr;

	begin_fuse(NULL, false);
	host_write(&host, "a", "x");
	host_write(&host, "b", "x");
	in.one[0] = (struct fuse_forget_one){node_of("a"), 1};
	in.one[1] = (struct fuse_forget_one){12345, 1};
	in.one[2] = (struct fuse_forget_one){node_of("b"), 1};
	/* A count that is not the message's: nothing is forgotten. */
	ck_assert_int_eq(fc_call(client, FUSE_BATCH_FORGET, 0, &in, sizeof(in) - 1), FC_NONE);
	in.head.count = UINT32_MAX;
	ck_assert_int_eq(fc_call(client, FUSE_BATCH_FORGET, 0, &in, sizeof(in)), FC_NONE);
	in.head.count = 2;
	ck_assert_int_eq(fc_call(client, FUSE_BATCH_FORGET, 0, &in, sizeof(in)), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, in.one[0].nodeid, &attr), 0);
	in.head.count = 3;
	ck_assert_int_eq(fc_call(client, FUSE_BATCH_FORGET, 0, &in, sizeof(in)), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, in.one[0].nodeid, &attr), ESTALE);
	ck_assert_int_eq(fc_getattr(client, in.one[2].nodeid, &attr), ESTALE);
	ck_assert_uint_eq(fuse_stats().nodes, 0);
	files_host_end(&host);
}
END_TEST

/* The kernel never does that; the file stays open, and can be closed. */
START_TEST(an_open_file_outlives_its_forgotten_node)
{
	uint64_t node, fh;
	char text[8];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	fh = opened("f", O_RDONLY, &node);
	ck_assert_int_eq(fc_forget(client, node, 1), FC_NONE);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), ESTALE);
	ck_assert_int_eq(fc_cat(client, "f", text, sizeof(text)), 0);
	ck_assert_int_eq(fc_read(client, node_of("f"), fh, 0, 1, text, &n), 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_release(client, node, fh), EBADF);
	ck_assert_uint_eq(fuse_stats().open, 0);
	files_host_end(&host);
}
END_TEST

/*
 * A served root of the host beside a share: what only the host's root may read is not served, and
 * the same thread reads it for the share.
 */
START_TEST(a_root_of_the_host_has_no_privileges)
{
	struct files_share served;
	struct fuse_entry_out root, entry;
	struct fuse_open_out open;
	char text[16];
	unsigned round;

	begin_fuse(NULL, false);
	host_mkdir(&host, "usr");
	host_mkdir(&host, "home");
	host_write(&host, "usr/open", "open");
	host_write(&host, "usr/closed", "closed");
	ck_assert_int_eq(chmod(host_path(&host, "usr/closed"), 0600), 0);
	served = host.share;
	served.guest[0] = '\0';
	served.read_only = served.host_root = served.rootfs = true;
	ck_assert_int_eq(fuse_session_add(client->session, "host", &served, FUSED_LOOSE), 0);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "host", &root), 0);
	ck_assert_int_eq(fc_lookup(client, root.nodeid, "home", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, 0);
	ck_assert_int_eq(fc_lookup(client, root.nodeid, "usr", &root), 0);
	for (round = 0; round < 2; round++) {
		ck_assert_int_eq(fc_lookup(client, root.nodeid, "open", &entry), 0);
		ck_assert_int_eq(fc_open(client, entry.nodeid, O_RDONLY, &open), 0);
		ck_assert_int_eq(fc_lookup(client, root.nodeid, "closed", &entry), 0);
		ck_assert_int_eq(fc_open(client, entry.nodeid, O_RDONLY, &open),
				 geteuid() == 0 ? EACCES : 0);
		ck_assert_int_eq(fc_cat(client, "usr/closed", text, sizeof(text)), 0);
		ck_assert_str_eq(text, "closed");
	}
	ck_assert_int_eq(fuse_session_remove(client->session, "host"), 0);
	files_host_end(&host);
}
END_TEST

/* --- without opens ---------------------------------------------------------------------------- */

START_TEST(files_are_read_without_being_opened)
{
	const struct fuse_session_config config = {.no_open = true};
	struct fuse_open_out open;
	struct fuse_init_out init;
	char text[16], names[64];
	uint64_t node, fh;
	unsigned told;
	size_t n;

	files_host_begin_as(&host, "file deny /w/denied/**\nfile read /w/**\n", true, FUSED_LOOSE,
			    &config);
	files_host_fill(&host);
	/* A kernel that does not understand ENOSYS gets no session. */
	ck_assert_int_eq(fc_init(client, FUSE_ASYNC_READ, &init), EPROTO);
	ck_assert_int_eq(fc_init(client, UINT64_MAX, &init), 0);
	ck_assert_uint_eq(init.flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), 0);
	node = node_of("read/f");
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &open), ENOSYS);
	ck_assert_int_eq(fc_read(client, node, 0, 1, 9, text, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(text, "ead", 3);
	ck_assert_int_eq(fc_flush(client, node, 0, 1), ENOSYS);
	ck_assert_int_eq(fc_read(client, node, 7, 0, 9, text, &n), EBADF);
	ck_assert_int_eq(fc_read(client, node_of("denied/f"), 0, 0, 9, text, &n), EACCES);
	ck_assert_int_eq(fc_read(client, node_of("read"), 0, 0, 9, text, &n), EISDIR);
	ck_assert_int_eq(fc_opendir(client, node_of("d"), &fh), ENOSYS);
	ck_assert_int_eq(fc_list(client, node_of("d"), 0, 64, names, sizeof(names), NULL), 0);
	ck_assert_ptr_nonnull(strstr(names, "f\n"));
	ck_assert_int_eq(fc_list(client, node_of("d"), 0, 400, names, sizeof(names), &told), 0);
	ck_assert_uint_eq(told, 2);
	ck_assert_int_eq(fc_list(client, node, 0, 400, names, sizeof(names), NULL), ENOTDIR);
	ck_assert_uint_eq(fuse_stats().open, 0);
	host.share.read_only = false;
	ck_assert_int_eq(fuse_session_add(client->session, "1", &host.share, 0), -EINVAL);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_session", only_what_is_implemented_is_negotiated, versions_are_agreed_on,
	  another_init_or_an_unmount_begins_anew, the_top_lists_roots_and_can_not_be_changed,
	  roots_come_and_go, a_node_lives_as_long_as_the_guest_knows_of_it,
	  many_nodes_are_forgotten_at_once, an_open_file_outlives_its_forgotten_node,
	  a_root_of_the_host_has_no_privileges, files_are_read_without_being_opened)
