/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: sessions that are saved, and restored as another one. */
#include "tests/unit/fuse_common.h"

#include "vmm/base/pack.h"

static struct pack saved;

static void save(void)
{
	pack_free(&saved);
	saved = (struct pack){.data = NULL};
	fuse_session_save(client->session, &saved);
	ck_assert(!saved.failed);
}

/* Reads bytes back into a session of its own, whose roots are added in this order; 0 or -errno. */
static int read_back(const uint8_t *data, size_t length, const char *const *roots, size_t count)
{
	/* A copy of just that size: the sanitizer sees what is read beyond it. */
	uint8_t *copy = memcpy(malloc(length + 1), data, length);
	struct unpack from = {.data = copy, .length = length};
	struct fuse_session *session;
	size_t i;
	int ret;

	ck_assert_int_eq(fuse_session_create(&session, NULL), 0);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(fuse_session_add(session, roots[i], &host.share, FUSED_STRICT), 0);
	ret = fuse_session_restore(session, &from);
	if (ret == 0 && !unpack_done(&from))
		ret = -EINVAL;
	free(copy);
	if (ret < 0) {
		fuse_session_destroy(session);
		return ret;
	}
	fuse_session_reopen(session);
	fuse_session_destroy(client->session);
	client->session = session;
	return 0;
}

static void go_on(void)
{
	static const char *const roots[] = {"0"};

	save();
	ck_assert_int_eq(read_back(saved.data, saved.length, roots, 1), 0);
}

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

/* Whatever the bytes say, the session is refused or can be used and ended. */
static void try_bytes(const uint8_t *data, size_t length)
{
	struct fuse_attr attr;
	char text[8];
	size_t n;

	if (read_back(data, length, (const char *const[]){"0"}, 1) < 0)
		return;
	fc_getattr(client, ROOT, &attr);
	fc_cat(client, "f", text, sizeof(text));
	fc_read(client, ROOT, 1ull << 56, 0, 1, text, &n);
	save();
}

START_TEST(forged_bytes_are_refused_or_harmless)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	uint8_t *good;
	size_t length, at, i;
	uint64_t node, fh, d;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/in", "x");
	host_write(&host, "f", "x");
	fh = opened("f", O_RDWR, &node);
	node_of("d/in");
	d = node_of("d");
	ck_assert_int_eq(fc_opendir(client, d, &(uint64_t){0}), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, 9, 0), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 2, F_RDLCK, 20, 29, 0), 0);
	save();
	length = saved.length;
	good = memcpy(malloc(length), saved.data, length);
	for (at = 0; at < length; at++)
		ck_assert_int_lt(read_back(good, at, (const char *const[]){"0"}, 1), 0);
	for (at = 0; at < length; at++) {
		for (i = 0; i < ARRAY_SIZE(values); i++) {
			uint8_t was = good[at];

			good[at] = values[i];
			try_bytes(good, length);
			good[at] = was;
		}
	}
	ck_assert_int_eq(read_back(good, length, (const char *const[]){"0"}, 1), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "y", 1, 0), 0);
	free(good);
	pack_free(&saved);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_save", the_guest_notices_nothing, what_can_not_be_opened_again_is_stale,
	  locks_between_processes_are_kept, roots_are_found_by_name,
	  forged_bytes_are_refused_or_harmless)
