/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: what the guest may keep, and what shows when the host changes files. */
#include "tests/unit/fuse_common.h"

#include <time.h>

/* A file that was changed long ago, as far as its times tell: what is written now is seen. */
static void settle(const char *path)
{
	struct timespec wait = {.tv_nsec = FUSED_SETTLE_NS + 20000000};
	struct stat stat;

	ck_assert_int_eq(lstat(host_path(&host, path), &stat), 0);
	if (stat.st_ctim.tv_nsec == 0)
		wait.tv_sec = 2;
	nanosleep(&wait, NULL);
}

static uint32_t open_flags(const char *path, uint32_t flags)
{
	struct fuse_open_out open;
	uint64_t node = node_of(path);

	ck_assert_int_eq(fc_open(client, node, flags, &open), 0);
	ck_assert_int_eq(fc_release(client, node, open.fh), 0);
	return open.open_flags;
}

START_TEST(data_is_kept_while_it_is_the_same)
{
	const struct timespec same[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	uint64_t node, fh;

	begin_fuse(NULL, false);
	host_write(&host, "f", "one");
	settle("f");
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	ck_assert_uint_eq(open_flags("f", O_RDONLY), FOPEN_KEEP_CACHE);
	ck_assert_uint_eq(open_flags("f", O_RDWR), FOPEN_KEEP_CACHE);
	/* The host writes as many bytes. */
	host_write(&host, "f", "two");
	settle("f");
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	ck_assert_uint_eq(open_flags("f", O_RDONLY), FOPEN_KEEP_CACHE);
	/* And sets the time back: the time of the change remains. */
	ck_assert_int_eq(utimensat(AT_FDCWD, host_path(&host, "f"), same, 0), 0);
	settle("f");
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	host_write(&host, "f", "six");
	ck_assert_int_eq(utimensat(AT_FDCWD, host_path(&host, "f"), same, 0), 0);
	settle("f");
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	/* The guest's own writes, and opens that change. */
	ck_assert_uint_eq(open_flags("f", O_RDONLY), FOPEN_KEEP_CACHE);
	fh = opened("f", O_RDWR, &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	settle("f");
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	ck_assert_uint_eq(open_flags("f", O_WRONLY | O_TRUNC), 0);
	ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	files_host_end(&host);
}
END_TEST

/* Two writes within a tick of the clock have the same time. */
START_TEST(what_has_just_changed_is_not_taken_as_unchanged)
{
	struct timespec now;
	struct stat stat;
	unsigned round;

	begin_fuse(NULL, false);
	for (round = 0; round < 50; round++) {
		host_write(&host, "f", "one");
		ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
		clock_gettime(CLOCK_REALTIME, &now);
		ck_assert_int_eq(lstat(host_path(&host, "f"), &stat), 0);
		/* Unless this test was held up, the file was too young at that open. */
		if ((now.tv_sec - stat.st_ctim.tv_sec) * 1000000000 + now.tv_nsec -
			    stat.st_ctim.tv_nsec <
		    (long)FUSED_SETTLE_NS)
			ck_assert_uint_eq(open_flags("f", O_RDONLY), 0);
	}
	files_host_end(&host);
}
END_TEST

START_TEST(what_the_host_changes_shows)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	uint64_t f, fh;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "one");
	f = node_of("f");
	host_write(&host, "f", "three");
	ck_assert_int_eq(fc_getattr(client, f, &attr), 0);
	ck_assert_uint_eq(attr.size, 5);
	ck_assert_uint_eq(node_of("f"), f);
	fh = opened("f", O_RDONLY, &f);
	/* As editors save: the name has another file, and so another node. */
	host_write(&host, "f.new", "replaced");
	ck_assert_int_eq(rename(host_path(&host, "f.new"), host_path(&host, "f")), 0);
	ck_assert_uint_ne(node_of("f"), f);
	ck_assert_int_eq(fc_cat(client, "f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "replaced");
	/* The open one stays what it was, also for requests that name only the node. */
	ck_assert_int_eq(fc_read(client, f, fh, 0, 9, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(fc_getattr(client, f, &attr), 0);
	ck_assert_uint_eq(attr.size, 5);
	ck_assert_int_eq(fc_open(client, f, O_RDONLY, &open), ENOENT);
	ck_assert_int_eq(unlink(host_path(&host, "f")), 0);
	ck_assert_int_eq(fc_getattr(client, node_of(""), &attr), 0);
	ck_assert_int_eq(fc_stat(client, "f", &attr), ENOENT);
	files_host_end(&host);
}
END_TEST

/* Without a lookup in between: the request is about a file that is not there any more. */
START_TEST(a_node_never_stands_for_another_file)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	uint64_t f, link, d;
	char text[64];

	begin_fuse(NULL, false);
	host_write(&host, "f", "one");
	host_write(&host, "f.new", "other");
	host_write(&host, "f.newer", "another");
	host_mkdir(&host, "d");
	host_mkdir(&host, "d.new");
	host_write(&host, "d.new/in", "in");
	ck_assert_int_eq(symlink("one", host_path(&host, "link")), 0);
	f = node_of("f");
	link = node_of("link");
	d = node_of("d");
	ck_assert_int_eq(rename(host_path(&host, "f.new"), host_path(&host, "f")), 0);
	ck_assert_int_eq(fc_open(client, f, O_RDONLY, &open), ESTALE);
	f = node_of("f");
	ck_assert_int_eq(rename(host_path(&host, "f.newer"), host_path(&host, "f")), 0);
	ck_assert_int_eq(fc_getattr(client, f, &attr), ESTALE);
	f = node_of("f");
	ck_assert_int_eq(fc_setattr(client, f, FATTR_MODE, 0600, 0), 0);
	/* A link, whose target the guest keeps; its number may be used again at once. */
	ck_assert_int_eq(unlink(host_path(&host, "link")), 0);
	ck_assert_int_eq(symlink("two", host_path(&host, "link")), 0);
	ck_assert_int_eq(fc_readlink(client, link, text, sizeof(text)), ESTALE);
	ck_assert_int_eq(fc_readlink(client, node_of("link"), text, sizeof(text)), 0);
	ck_assert_str_eq(text, "two");
	/* A directory is a place. */
	ck_assert_int_eq(rmdir(host_path(&host, "d")), 0);
	ck_assert_int_eq(rename(host_path(&host, "d.new"), host_path(&host, "d")), 0);
	ck_assert_int_eq(fc_walk(client, d, "in", &f), 0);
	ck_assert_uint_eq(node_of("d"), d);
	/* But not a file. */
	ck_assert_int_eq(rename(host_path(&host, "d"), host_path(&host, "d.old")), 0);
	host_write(&host, "d", "a file");
	ck_assert_int_eq(fc_getattr(client, d, &attr), ESTALE);
	ck_assert_uint_ne(node_of("d"), d);
	files_host_end(&host);
}
END_TEST

START_TEST(strict_names_are_kept_for_no_time_and_attributes_for_a_tick)
{
	struct fuse_attr_out attr;
	struct fuse_entry_out entry;
	const struct fuse_getattr_in in = {.getattr_flags = 0};
	const struct fused_statx_in statx = {.sx_mask = 0};
	struct fused_statx_out extended;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(fc_lookup(client, ROOT, "f", &entry), 0);
	ck_assert_uint_eq(entry.entry_valid + entry.entry_valid_nsec + entry.attr_valid, 0);
	ck_assert_uint_eq(entry.attr_valid_nsec, FUSED_STRICT_ATTR_NS);
	ck_assert_int_eq(fc_call(client, FUSE_GETATTR, entry.nodeid, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_take(client, &attr, sizeof(attr)), 0);
	ck_assert_uint_eq(attr.attr_valid, 0);
	ck_assert_uint_eq(attr.attr_valid_nsec, FUSED_STRICT_ATTR_NS);
	ck_assert_int_eq(fc_call(client, FUSED_OP_STATX, entry.nodeid, &statx, sizeof(statx)), 0);
	ck_assert_int_eq(fc_take(client, &extended, sizeof(extended)), 0);
	ck_assert_uint_eq(extended.attr_valid, 0);
	ck_assert_uint_eq(extended.attr_valid_nsec, FUSED_STRICT_ATTR_NS);
	ck_assert_int_eq(fc_lookup(client, ROOT, "none", &entry), ENOENT);
	files_host_end(&host);
}
END_TEST

START_TEST(a_loose_root_is_kept_with_what_it_lacks)
{
	const struct fuse_open_in in = {.flags = O_RDONLY};
	struct fuse_open_out open;
	struct fuse_entry_out entry;

	files_host_begin_as(&host, ruled, true, FUSED_LOOSE, NULL);
	files_host_fill(&host);
	ck_assert_int_eq(fc_lookup(client, ROOT, "read", &entry), 0);
	ck_assert_uint_eq(entry.entry_valid, FUSED_LOOSE_SECONDS);
	ck_assert_uint_eq(entry.attr_valid, FUSED_LOOSE_SECONDS);
	ck_assert_uint_eq(entry.attr_valid_nsec, 0);
	ck_assert_int_eq(fc_lookup(client, ROOT, "none", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, 0);
	ck_assert_uint_eq(entry.entry_valid, FUSED_LOOSE_SECONDS);
	/* What is hidden looks the same. */
	ck_assert_int_eq(fc_lookup(client, ROOT, ".env", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, 0);
	ck_assert_uint_eq(entry.entry_valid, FUSED_LOOSE_SECONDS);
	ck_assert_uint_eq(open_flags("read/f", O_RDONLY), FOPEN_KEEP_CACHE | FUSED_NOFLUSH);
	ck_assert_int_eq(fc_call(client, FUSE_OPENDIR, node_of("d"), &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_take(client, &open, sizeof(open)), 0);
	ck_assert_uint_eq(open.open_flags, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
	/* The name of the root itself can change. */
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
	ck_assert_uint_eq(entry.entry_valid, 0);
	files_host_end(&host);
}
END_TEST

START_TEST(without_a_cache_each_read_is_a_request)
{
	struct fuse_entry_out entry;

	files_host_begin_as(&host, NULL, false, FUSED_NONE, NULL);
	host_write(&host, "f", "x");
	settle("f");
	ck_assert_int_eq(fc_lookup(client, ROOT, "f", &entry), 0);
	ck_assert_uint_eq(entry.entry_valid + entry.attr_valid + entry.attr_valid_nsec, 0);
	ck_assert_uint_eq(open_flags("f", O_RDONLY), FOPEN_DIRECT_IO | FUSED_PARALLEL_WRITES);
	ck_assert_uint_eq(open_flags("f", O_RDONLY), FOPEN_DIRECT_IO | FUSED_PARALLEL_WRITES);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_fresh", data_is_kept_while_it_is_the_same,
	  what_has_just_changed_is_not_taken_as_unchanged, what_the_host_changes_shows,
	  a_node_never_stands_for_another_file,
	  strict_names_are_kept_for_no_time_and_attributes_for_a_tick,
	  a_loose_root_is_kept_with_what_it_lacks, without_a_cache_each_read_is_a_request)
