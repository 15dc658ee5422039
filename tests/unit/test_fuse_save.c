/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: sessions that are saved, and restored as another one. */
#include "tests/unit/fuse_common.h"
#include "tests/unit/fuse_save_common.h"

START_TEST(the_guest_notices_nothing)
{
	uint64_t node, fh, d, in, directory, log, log_fh;
	char text[64], names[256];
	struct fuse_attr attr;
	size_t n;

	begin_ruled(ruled, false);
	fh = opened("f", O_RDWR, &node);
	log_fh = opened("log/f", O_WRONLY | O_APPEND, &log);
	d = node_of("d");
	in = node_of("d/f");
	ck_assert_uint_eq(node_of("d/f"), in);
	ck_assert_int_eq(fc_opendir(client, d, &directory), 0);
	ck_assert_int_eq(fc_forget(client, node_of("denied"), 1), FC_NONE);
	go_on();
	ck_assert_int_eq(fc_read(client, node, fh, 0, 9, text, &n), 0);
	ck_assert_mem_eq(text, "f", 1);
	ck_assert_int_eq(fc_write(client, node, fh, 1, "!", 1, 0), 0);
	ck_assert_int_eq(fc_write(client, log, log_fh, 0, "!", 1, 0), 0);
	ck_assert_str_eq(host_read(&host, "log/f"), "log!");
	ck_assert_int_eq(fc_list(client, d, directory, 400, names, sizeof(names), NULL), 0);
	ck_assert_ptr_nonnull(strstr(names, "f\n"));
	ck_assert_uint_eq(node_of("d/f"), in);
	/* Three lookups of it, one of them after the restore. */
	ck_assert_int_eq(fc_forget(client, in, 2), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, in, &attr), 0);
	ck_assert_int_eq(fc_forget(client, in, 1), FC_NONE);
	ck_assert_int_eq(fc_getattr(client, in, &attr), ESTALE);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_release(client, log, log_fh), 0);
	ck_assert_int_eq(fc_release(client, d, directory), 0);
	ck_assert_uint_eq(fuse_stats().open, 0);
	/* Saved again it is the same, and new numbers are new. */
	go_on();
	ck_assert_uint_ne(node_of("d/f"), in);
	ck_assert_uint_eq(node_of("d"), d);
	end_ruled();
}
END_TEST

START_TEST(what_can_not_be_opened_again_is_stale)
{
	uint64_t node[5], fh[5];
	struct fuse_open_out open;
	char text[8], name[8];
	size_t n, i;

	begin_ruled(ruled, false);
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		host_write(&host, name, "x");
		fh[i] = opened(name, i == 4 ? O_RDWR : O_RDONLY, &node[i]);
	}
	ck_assert_int_eq(fc_unlink(client, ROOT, "s0"), 0);
	save();
	/* Removed and replaced by the host meanwhile, and under other rules. */
	ck_assert_int_eq(unlink(host_path(&host, "s1")), 0);
	host_write(&host, "other", "other");
	ck_assert_int_eq(rename(host_path(&host, "other"), host_path(&host, "s2")), 0);
	files_host_replace(&host, "file deny /w/s3\nfile read /w/**\n");
	ck_assert_int_eq(read_back(saved.data, saved.length, (const char *const[]){"0"}, 1), 0);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(fc_read(client, node[i], fh[i], 0, 1, text, &n), ESTALE);
		ck_assert_int_eq(fc_write(client, node[i], fh[i], 0, "x", 1, 0), ESTALE);
		ck_assert_int_eq(fc_release(client, node[i], fh[i]), 0);
		ck_assert_int_eq(fc_release(client, node[i], fh[i]), EBADF);
	}
	ck_assert_int_eq(fc_open(client, node[0], O_RDONLY, &open), ENOENT);
	ck_assert_int_eq(fc_open(client, node_of("s2"), O_RDONLY, &open), 0);
	ck_assert_int_eq(fc_open(client, node[3], O_RDONLY, &open), EACCES);
	ck_assert_int_eq(fc_open(client, node[4], O_RDONLY, &open), 0);
	files_host_replace(&host, ruled);
	end_ruled();
}
END_TEST

START_TEST(locks_between_processes_are_kept)
{
	struct fuse_file_lock lock;
	uint64_t node, fh;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	fh = opened("f", O_RDWR, &node);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, 9, 0), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 2, F_RDLCK, 20, 29, 0), 0);
	go_on();
	ck_assert_uint_eq(fuse_stats().locks, 2);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 2, F_RDLCK, 5, 5, 0), EAGAIN);
	ck_assert_int_eq(fc_getlk(client, node, fh, 3, F_WRLCK, &lock), 0);
	ck_assert_uint_ne(lock.type, F_UNLCK);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_UNLCK, 0, 9, 0), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 2, F_RDLCK, 5, 5, 0), 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	files_host_end(&host);
}
END_TEST

START_TEST(roots_are_found_by_name)
{
	uint64_t node, fh, other;
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	char text[8];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "x");
	ck_assert_int_eq(fuse_session_add(client->session, "1", &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "1", &entry), 0);
	ck_assert_int_eq(fc_walk(client, entry.nodeid, "f", &other), 0);
	fh = opened("f", O_RDONLY, &node);
	save();
	/* In another order, with one more. */
	ck_assert_int_eq(
		read_back(saved.data, saved.length, (const char *const[]){"2", "1", "0"}, 3), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), 0);
	ck_assert_int_eq(fc_getattr(client, other, &attr), 0);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "2", &entry), 0);
	ck_assert_uint_ne(entry.nodeid, ROOT);
	ck_assert_uint_eq(node_of("f"), node);
	/* Without one of them. */
	ck_assert_int_eq(read_back(saved.data, saved.length, (const char *const[]){"0"}, 1), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 1, text, &n), 0);
	ck_assert_int_eq(fc_getattr(client, other, &attr), ESTALE);
	files_host_end(&host);
}
END_TEST

/* A rename takes everything beneath it along, and what was done at an open is not done again. */
START_TEST(places_and_flags_go_on)
{
	struct fuse_session_stats before;
	uint64_t in, fh, log, log_fh, made, made_fh, d, e;
	char text[64] = "";
	size_t n;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_mkdir(&host, "d/e");
	host_write(&host, "d/e/f", "0123456789");
	host_write(&host, "d/log", "old ");
	d = node_of("d");
	e = node_of("d/e");
	fh = opened("d/e/f", O_RDONLY, &in);
	log_fh = opened("d/log", O_RDWR | O_APPEND, &log);
	ck_assert_int_eq(
		fc_create(client, d, "made", O_RDWR | O_TRUNC | O_EXCL, 0600, &made, &made_fh), 0);
	ck_assert_int_eq(fc_write(client, made, made_fh, 0, "kept", 4, 0), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "d", ROOT, "moved", 0), 0);
	before = fuse_stats();
	go_on();
	ck_assert_uint_eq(fuse_stats().nodes, before.nodes);
	ck_assert_uint_eq(fuse_stats().open, before.open);
	ck_assert_int_eq(fc_read(client, in, fh, 4, 3, text, &n), 0);
	ck_assert_str_eq(text, "456");
	ck_assert_int_eq(fc_write(client, in, fh, 0, "x", 1, 0), EBADF); /* as before */
	ck_assert_int_eq(fc_write(client, log, log_fh, 0, "new", 3, 0), 0);
	ck_assert_str_eq(host_read(&host, "moved/log"), "old new");
	ck_assert_str_eq(host_read(&host, "moved/made"), "kept");
	ck_assert_int_eq(fc_write(client, made, made_fh, 4, "!", 1, 0), 0);
	ck_assert_str_eq(host_read(&host, "moved/made"), "kept!");
	ck_assert_uint_eq(node_of("moved/e"), e);
	ck_assert_int_eq(fc_walk(client, e, "f", &d), 0);
	ck_assert_uint_eq(d, in);
	files_host_end(&host);
}
END_TEST

START_TEST(a_directory_is_read_on_where_it_was)
{
	struct fuse_read_in in = {.size = 200};
	struct fuse_dirent dirent;
	char seen[4096] = "", name[16];
	unsigned i, files = 0;
	bool more;

	begin_fuse(NULL, false);
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%u;", i);
		host_write(&host, name, "");
	}
	ck_assert_int_eq(fc_opendir(client, ROOT, &in.fh), 0);
	do {
		ck_assert_int_eq(fc_call(client, FUSE_READDIR, ROOT, &in, sizeof(in)), 0);
		more = unpack_left(&client->in) > 0;
		while (unpack_left(&client->in) > 0) {
			unpack_bytes(&client->in, &dirent, sizeof(dirent));
			ck_assert_uint_lt(dirent.namelen, sizeof(name));
			unpack_bytes(&client->in, name, dirent.namelen);
			unpack_skip(&client->in, align_up(dirent.namelen, 8) - dirent.namelen);
			ck_assert(!client->in.failed);
			name[dirent.namelen] = '\0';
			in.offset = dirent.off;
			if (name[0] != 'f')
				continue;
			ck_assert_ptr_null(strstr(seen, name));
			strcat(seen, name);
			files++;
		}
		go_on();
	} while (more);
	ck_assert_uint_eq(files, 40);
	files_host_end(&host);
}
END_TEST

/* Also when the rules allow it again; and its number can be given back. */
START_TEST(what_is_stale_stays_so)
{
	uint64_t node, fh, d, directory, other;
	struct fuse_open_out open;
	char text[16];
	size_t n;

	begin_fuse("file write /w/**\n", false);
	host_write(&host, "f", "x");
	host_mkdir(&host, "d");
	fh = opened("f", O_RDONLY, &node);
	d = node_of("d");
	ck_assert_int_eq(fc_opendir(client, d, &directory), 0);
	ck_assert_int_eq(rename(host_path(&host, "d"), host_path(&host, "e")), 0);
	files_host_replace(&host, "file deny /w/f\nfile read /w/**\n");
	go_on();
	files_host_replace(&host, "file read /w/**\n");
	ck_assert_int_eq(rename(host_path(&host, "e"), host_path(&host, "d")), 0);
	other = opened("f", O_RDONLY, &node);
	ck_assert_uint_eq(fuse_stats().open, 1);
	go_on();
	ck_assert_uint_eq(fuse_stats().open, 1);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(fc_list(client, d, directory, 400, text, sizeof(text), NULL), ESTALE);
	ck_assert_int_eq(fc_read(client, node, other, 0, 9, text, &n), 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_int_eq(fc_release(client, d, directory), 0);
	ck_assert_int_eq(fc_release(client, node, other), 0);
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &open), 0);
	ck_assert_int_eq(fc_opendir(client, d, &directory), 0);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_save", the_guest_notices_nothing, places_and_flags_go_on,
	  a_directory_is_read_on_where_it_was, what_can_not_be_opened_again_is_stale,
	  what_is_stale_stays_so, locks_between_processes_are_kept, roots_are_found_by_name)
