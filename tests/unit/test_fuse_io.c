/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: rarer requests about contents, files without names, and odd files of the host.
 */
#include "tests/unit/fuse_common.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>

static int allocate(uint64_t node, uint64_t fh, uint32_t mode, uint64_t offset, uint64_t length)
{
	const struct fuse_fallocate_in in = {
		.fh = fh, .mode = mode, .offset = offset, .length = length};

	return fc_call(client, FUSE_FALLOCATE, node, &in, sizeof(in));
}

static int seek(uint64_t node, uint64_t fh, uint64_t offset, uint32_t whence, uint64_t *at)
{
	const struct fuse_lseek_in in = {.fh = fh, .offset = offset, .whence = whence};
	struct fuse_lseek_out out = {.offset = 0};
	int ret = fc_call(client, FUSE_LSEEK, node, &in, sizeof(in));

	if (ret == 0)
		ret = fc_take(client, &out, sizeof(out));
	*at = out.offset;
	return ret;
}

START_TEST(room_is_allocated_and_holes_are_made_and_found)
{
	uint64_t node, fh, at, reader;
	struct fuse_open_out open;
	struct fuse_attr attr;
	int ret;

	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR, 0644, &node, &fh), 0);
	ck_assert_int_eq(allocate(node, fh, 0, 0, 1 << 20), 0);
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	ck_assert_uint_eq(attr.size, 1 << 20);
	ck_assert_int_eq(allocate(node, fh, FALLOC_FL_KEEP_SIZE, 1 << 20, 4096), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "data", 4, 0), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 512 << 10, "data", 4, 0), 0);
	ret = allocate(node, fh, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 64 << 10, 256 << 10);
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(seek(node, fh, 0, SEEK_HOLE, &at), 0);
	ck_assert_uint_le(at, 1 << 20);
	ck_assert_int_eq(seek(node, fh, 128 << 10, SEEK_DATA, &at), 0);
	ck_assert_uint_le(at, 512 << 10);
	ck_assert_int_eq(seek(node, fh, 2 << 20, SEEK_DATA, &at), ENXIO);
	ck_assert_int_eq(seek(node, fh, 0, SEEK_SET, &at), EINVAL);
	ck_assert_int_eq(seek(node, fh, 0, SEEK_END, &at), EINVAL);
	ck_assert_int_eq(seek(node, fh, UINT64_MAX, SEEK_DATA, &at), EINVAL);
	ck_assert_int_eq(allocate(node, fh, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
	ck_assert_int_eq(allocate(node, fh, 1u << 31, 0, 4096), EOPNOTSUPP);
	ck_assert_int_eq(allocate(node, fh, 0, 0, 0), EINVAL);
	ck_assert_int_eq(allocate(node, fh, 0, INT64_MAX, 1), EFBIG);
	ck_assert_int_eq(allocate(node, fh, 0, 0, UINT64_MAX), EFBIG);
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &open), 0);
	reader = open.fh;
	ck_assert_int_eq(allocate(node, reader, 0, 0, 4096), EBADF);
	ck_assert_int_eq(seek(node, reader, 0, SEEK_DATA, &at), 0);
	files_host_end(&host);
}
END_TEST

static int copy(uint64_t from, uint64_t fh_in, uint64_t to, uint64_t fh_out, uint64_t length,
		uint32_t *size)
{
	const struct fuse_copy_file_range_in in = {
		.fh_in = fh_in, .nodeid_out = to, .fh_out = fh_out, .len = length, .off_out = 2};
	struct fuse_write_out out = {.size = 0};
	int ret = fc_call(client, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in));

	if (ret == 0)
		ret = fc_take(client, &out, sizeof(out));
	*size = out.size;
	return ret;
}

START_TEST(files_are_copied_on_the_host_under_the_rules_of_both)
{
	uint64_t from, in, to, out, append, appender, denied, read_only;
	struct fuse_open_out open;
	uint32_t size;

	begin_ruled(ruled, false);
	host_write(&host, "from", "0123456789");
	host_write(&host, "to", "........");
	in = opened("from", O_RDONLY, &from);
	out = opened("to", O_RDWR, &to);
	ck_assert_int_eq(copy(from, in, to, out, 4, &size), 0);
	ck_assert_uint_eq(size, 4);
	ck_assert_str_eq(host_read(&host, "to"), "..0123..");
	ck_assert_int_eq(copy(from, in, to, out, UINT64_MAX, &size), 0);
	ck_assert_uint_eq(size, 10);
	ck_assert_int_eq(copy(to, out, from, in, 4, &size), EBADF);
	ck_assert_int_eq(copy(from, in, from, out, 4, &size), EBADF);
	ck_assert_int_eq(copy(from, in, to, 99, 4, &size), EBADF);
	ck_assert_int_eq(copy(from, in, FUSE_ROOT_ID, 1, 4, &size), EXDEV);
	appender = opened("log/f", O_WRONLY | O_APPEND, &append);
	ck_assert_int_eq(copy(from, in, append, appender, 4, &size), EBADF);
	read_only = opened("read/f", O_RDONLY, &denied);
	ck_assert_int_eq(copy(denied, read_only, to, out, 4, &size), 0);
	files_host_replace(&host, "file deny /w/read/**\nfile read /w/to\nfile write /w/**\n");
	ck_assert_int_eq(copy(denied, read_only, to, out, 4, &size), EACCES);
	ck_assert_int_eq(copy(from, in, to, out, 4, &size), EACCES);
	ck_assert_int_eq(fc_open(client, node_of("d/f"), O_RDWR, &open), 0);
	ck_assert_int_eq(copy(from, in, node_of("d/f"), open.fh, 4, &size), 0);
	end_ruled();
}
END_TEST

/* --- files without a name ----------------------------------------------------------------------
 */

static int make_unnamed(uint64_t directory, uint32_t flags, uint64_t *node, uint64_t *fh)
{
	const struct fuse_create_in in = {.flags = flags, .mode = 0640};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int ret;

	fc_begin(client, FUSE_TMPFILE, directory);
	fc_bytes(client, &in, sizeof(in));
	fc_string(client, "/"); /* as the kernel does */
	ret = fc_send(client);
	if (ret != 0 || fc_take(client, &out, sizeof(out)) != 0)
		return ret ? ret : FC_BROKEN;
	*node = out.entry.nodeid;
	*fh = out.open.fh;
	return 0;
}

START_TEST(a_file_without_a_name_gets_one_where_the_rules_allow_it)
{
	uint64_t node, fh, second;
	struct fuse_attr attr;
	int ret;

	begin_ruled(ruled, false);
	ret = make_unnamed(ROOT, O_RDWR, &node, &fh);
	if (ret == EOPNOTSUPP || ret == EISDIR) {
		fprintf(stderr, "no O_TMPFILE on this file system: not tested\n");
		end_ruled();
		return;
	}
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "unnamed", 7, 0), 0);
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(attr.nlink, 1);
	ck_assert_int_eq(fc_link(client, node_of("denied"), "g", node), EACCES);
	ck_assert_int_eq(fc_link(client, node_of("read"), "g", node), EACCES);
	ck_assert_int_eq(fc_link(client, node_of("log"), "g", node), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, ".env", node), EACCES);
	ck_assert_int_eq(fc_link(client, ROOT, "named", node), 0);
	ck_assert_uint_eq(node_of("named"), node);
	ck_assert_str_eq(host_read(&host, "named"), "unnamed");
	ck_assert_int_eq(fc_write(client, node, fh, 0, "N", 1, 0), 0);
	/* Now it is a file like others. */
	ck_assert_int_eq(fc_unlink(client, ROOT, "named"), 0);
	ck_assert_int_eq(fc_link(client, ROOT, "again", node), ENOENT);
	ck_assert_int_eq(make_unnamed(ROOT, O_RDWR | O_EXCL, &second, &fh), 0);
	ck_assert_int_eq(fc_link(client, ROOT, "never", second), ENOENT);
	ck_assert_int_eq(make_unnamed(node_of("denied"), O_RDWR, &node, &fh), EACCES);
	ck_assert_int_eq(make_unnamed(node_of("read"), O_RDWR, &node, &fh), EACCES);
	ck_assert_int_eq(make_unnamed(node_of("log"), O_RDWR, &node, &fh), EACCES);
	ck_assert_int_eq(make_unnamed(node_of("log"), O_WRONLY | O_APPEND, &node, &fh), 0);
	ck_assert_int_eq(make_unnamed(ROOT, O_RDONLY, &node, &fh), EINVAL);
	end_ruled();
}
END_TEST

/* --- the host ----------------------------------------------------------------------------------
 */

START_TEST(fifos_sockets_and_devices_are_shown_and_never_opened)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct fuse_attr attr;
	uint64_t node, fh;
	int fd;

	begin_fuse(NULL, false);
	host_write(&host, "file", "x");
	ck_assert_int_eq(mkfifo(host_path(&host, "fifo"), 0666), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", host_path(&host, "socket"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(fc_stat(client, "fifo", &attr), 0);
	ck_assert_uint_eq(attr.mode & S_IFMT, S_IFIFO);
	/* Blocking here would stop the test. */
	ck_assert_int_eq(fc_try_open(client, "fifo", O_RDONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "fifo", O_WRONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "fifo", O_RDWR | O_TRUNC), EACCES);
	ck_assert_int_eq(fc_try_open(client, "socket", O_RDWR), EACCES);
	ck_assert_int_eq(fc_create(client, ROOT, "fifo", O_WRONLY, 0644, &node, &fh), EACCES);
	ck_assert_int_eq(fc_setattr(client, node_of("fifo"), FATTR_SIZE, 0, 0), EINVAL);
	ck_assert_int_eq(fc_link(client, ROOT, "second", node_of("fifo")), EPERM);
	if (mknod(host_path(&host, "null"), S_IFCHR | 0666, 0x103) == 0) {
		ck_assert_int_eq(fc_try_open(client, "null", O_RDWR), EACCES);
		ck_assert_int_eq(fc_stat(client, "null", &attr), 0);
		ck_assert_uint_eq(attr.rdev, 0);
	}
	ck_assert_int_eq(fc_try_open(client, "file", O_RDWR), 0);
	/* And the guest makes none. */
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFIFO | 0666), EPERM);
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFCHR | 0666), EPERM);
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFSOCK | 0666), EPERM);
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", 0666), EPERM);
	ck_assert(!host_has(&host, "node"));
	ck_assert_int_eq(fc_mknod(client, ROOT, "node", S_IFREG | 0666), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

/* Whether what is watched was opened: a descriptor with O_PATH is none of it. */
static bool was_opened(int watch)
{
	char event[sizeof(struct inotify_event) + 256];

	return read(watch, event, sizeof(event)) > 0;
}

START_TEST(a_fifo_in_the_place_of_a_directory_is_not_opened)
{
	uint64_t d, f, fh;
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), fd;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "f", "");
	d = node_of("d");
	f = node_of("f");
	ck_assert_int_eq(fc_opendir(client, d, &fh), 0);
	ck_assert_int_eq(fc_release(client, d, fh), 0);
	ck_assert_int_eq(fc_opendir(client, f, &fh), ENOTDIR);
	ck_assert_int_eq(rmdir(host_path(&host, "d")), 0);
	ck_assert_int_eq(mkfifo(host_path(&host, "d"), 0600), 0);
	ck_assert_int_ge(inotify_add_watch(watch, host_path(&host, "d"), IN_OPEN), 0);
	ck_assert_int_eq(fc_opendir(client, d, &fh), ESTALE);
	ck_assert_int_eq(fc_opendir(client, node_of("d"), &fh), EACCES);
	ck_assert(!was_opened(watch));
	fd = open(host_path(&host, "d"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert(was_opened(watch));
	close(fd);
	/* A directory in the place of a file, and a link in that of a directory. */
	ck_assert_int_eq(unlink(host_path(&host, "f")), 0);
	host_mkdir(&host, "f");
	ck_assert_int_eq(fc_opendir(client, f, &fh), ESTALE);
	f = node_of("f");
	ck_assert_int_eq(fc_opendir(client, f, &fh), 0);
	ck_assert_int_eq(rmdir(host_path(&host, "f")), 0);
	ck_assert_int_eq(symlink(".", host_path(&host, "f")), 0);
	ck_assert_int_eq(fc_opendir(client, f, &fh), ESTALE);
	close(watch);
	files_host_end(&host);
}
END_TEST

START_TEST(links_of_the_host_lead_nowhere)
{
	uint64_t d, node, fh;
	char text[64];

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "inside");
	ck_assert_int_eq(symlink("..", host_path(&host, "up")), 0);
	ck_assert_int_eq(symlink("/", host_path(&host, "root")), 0);
	ck_assert_int_eq(symlink("d", host_path(&host, "side")), 0);
	ck_assert_int_eq(symlink("/proc/self/root", host_path(&host, "magic")), 0);
	ck_assert_int_eq(fc_cat(client, "up/secret", text, sizeof(text)), ENOTDIR);
	ck_assert_int_eq(fc_cat(client, "root/etc/passwd", text, sizeof(text)), ENOTDIR);
	ck_assert_int_eq(fc_cat(client, "magic/etc/passwd", text, sizeof(text)), ENOTDIR);
	ck_assert_int_eq(fc_cat(client, "side/f", text, sizeof(text)), ENOTDIR);
	ck_assert_int_eq(fc_cat(client, "d/f", text, sizeof(text)), 0);
	/* A directory that turns into a link behind the guest's back. */
	d = node_of("d");
	ck_assert_int_eq(rename(host_path(&host, "d"), host_path(&host, "d2")), 0);
	ck_assert_int_eq(symlink("..", host_path(&host, "d")), 0);
	ck_assert_int_eq(fc_walk(client, d, "secret", &node), ENOTDIR);
	ck_assert_int_eq(fc_create(client, d, "made", O_RDWR, 0644, &node, &fh), ENOTDIR);
	ck_assert_int_eq(fc_mkdir(client, d, "made", 0755), ENOTDIR);
	ck_assert_int_eq(fc_unlink(client, d, "secret"), ENOTDIR);
	ck_assert_int_eq(fc_rename(client, d, "secret", ROOT, "stolen", 0), ENOTDIR);
	ck_assert(host_has(&host, "../secret"));
	ck_assert(!host_has(&host, "../made"));
	files_host_end(&host);
}
END_TEST

START_TEST(a_file_truncated_while_it_is_read_just_ends)
{
	uint64_t node, fh;
	char text[64];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "0123456789");
	fh = opened("f", O_RDONLY, &node);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 5, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(truncate(host_path(&host, "f"), 3), 0);
	ck_assert_int_eq(fc_read(client, node, fh, 5, 5, text, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 5, text, &n), 0);
	ck_assert_uint_eq(n, 3);
	files_host_end(&host);
}
END_TEST

START_TEST(a_share_whose_directory_vanishes_has_nothing)
{
	struct fuse_attr attr;
	uint64_t node, fh, other;
	char text[16], away[300];
	size_t n;

	begin_fuse(NULL, false);
	host_write(&host, "f", "still");
	fh = opened("f", O_RDONLY, &node);
	/* Moved it is still the same directory; removed it is none. */
	snprintf(away, sizeof(away), "%s/away", host.top);
	ck_assert_int_eq(rename(host.base, away), 0);
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	ck_assert_int_eq(rename(away, host.base), 0);
	ck_assert_int_eq(unlink(host_path(&host, "f")), 0);
	ck_assert_int_eq(rmdir(host.base), 0);
	ck_assert_int_eq(fc_go(client, "f", &other), ENOENT);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), ENOENT);
	ck_assert_int_eq(fc_read(client, node, fh, 0, 9, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(fc_opendir(client, ROOT, &other), 0);
	ck_assert_int_eq(fc_list(client, ROOT, other, 400, away, sizeof(away), NULL), ENOENT);
	files_host_end(&host);
}
END_TEST

/* --- syncing, and threads ----------------------------------------------------------------------
 */

START_TEST(a_sync_of_the_mount_is_done_after_writes_only)
{
	const struct fuse_syncfs_in in = {.padding = 0};
	uint64_t node, fh;

	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_call(client, FUSE_SYNCFS, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_create(client, ROOT, "f", O_RDWR, 0644, &node, &fh), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), 0);
	ck_assert_int_eq(fc_call(client, FUSE_SYNCFS, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	ck_assert_int_eq(fc_call(client, FUSE_SYNCFS, FUSE_ROOT_ID, &in, sizeof(in) - 1), EINVAL);
	files_host_end(&host);
}
END_TEST

static atomic_bool stop;

/* Closes the open files of another thread, and takes away what it works with. */
static void *disturb(void *arg)
{
	static struct fuse_client other;
	struct fuse_init_out init;
	uint64_t node, fh;

	(void)arg;
	other.session = client->session;
	other.root = client->root;
	other.unique = 1ull << 32;
	while (!atomic_load(&stop)) {
		if (fc_create(&other, other.root, "f", O_RDWR, 0644, &node, &fh) == 0)
			fc_release(&other, node, fh - 1);
		fc_unlink(&other, other.root, "f");
		fc_init(&other, UINT64_MAX, &init);
	}
	return NULL;
}

/* Whatever comes of it, memory and descriptors stay whole: for the sanitizers. */
START_TEST(threads_may_close_what_others_use)
{
	static char data[64 << 10];
	struct fuse_attr attr;
	uint64_t node, fh;
	pthread_t thread;
	unsigned round;
	size_t n;

	begin_fuse(NULL, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, disturb, NULL), 0);
	for (round = 0; round < 3000; round++) {
		if (fc_create(client, ROOT, "f", O_RDWR, 0644, &node, &fh) != 0)
			continue;
		fc_write(client, node, fh, 0, data, sizeof(data), 0);
		fc_read(client, node, fh, 0, sizeof(data), data, &n);
		fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, round % 9, 0);
		fc_getattr(client, node, &attr);
		fc_release(client, node, fh);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	ck_assert_int_eq(fuse_session_remove(client->session, "0"), 0);
	ck_assert_uint_eq(fuse_stats().open, 0);
	ck_assert_uint_eq(fuse_stats().nodes, 0);
	ck_assert_uint_eq(fuse_stats().locks, 0);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_io", room_is_allocated_and_holes_are_made_and_found,
	  files_are_copied_on_the_host_under_the_rules_of_both,
	  a_file_without_a_name_gets_one_where_the_rules_allow_it,
	  fifos_sockets_and_devices_are_shown_and_never_opened,
	  a_fifo_in_the_place_of_a_directory_is_not_opened, links_of_the_host_lead_nowhere,
	  a_file_truncated_while_it_is_read_just_ends, a_share_whose_directory_vanishes_has_nothing,
	  a_sync_of_the_mount_is_done_after_writes_only, threads_may_close_what_others_use)
