/* SPDX-License-Identifier: Apache-2.0 */
/* Files that get their name once they are whole (vmm/base/new_file.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/base/new_file.h"

static char top[] = "/tmp/cordon-test-new.XXXXXX";
static int directory;
static bool old_file_system;

/* Stands for a file system without nameless files, which no host has for certain. */
int openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (old_file_system && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_openat, at, path, flags, mode);
}

static void begin(bool old)
{
	strcpy(top, "/tmp/cordon-test-new.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	directory = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(directory, 0);
	old_file_system = old;
}

static unsigned names(void)
{
	DIR *list = opendir(top);
	unsigned count = 0;

	ck_assert_ptr_nonnull(list);
	while (readdir(list))
		count++;
	closedir(list);
	return count - 2;
}

static void end(void)
{
	old_file_system = false;
	unlinkat(directory, "file", 0);
	unlinkat(directory, "dir", AT_REMOVEDIR);
	ck_assert_uint_eq(names(), 0);
	close(directory);
	ck_assert_int_eq(rmdir(top), 0);
}

/* Makes a file that holds the text; returns what new_file_finish() does. */
static int put(const char *name, const char *text, bool replace)
{
	struct new_file file;
	int ret;

	ck_assert_int_eq(new_file_open(&file, directory, name), 0);
	ck_assert_int_eq(fd_write_full(file.fd, text, strlen(text)), 0);
	ret = new_file_finish(&file, replace);
	new_file_close(&file);
	ck_assert_int_eq(file.fd, -1);
	return ret;
}

static void holds(const char *text)
{
	char is[32] = "";
	struct stat status;
	int fd = (int)syscall(SYS_openat, directory, "file", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(fd_pread_full(fd, is, sizeof(is) - 1, 0), (ssize_t)strlen(text));
	ck_assert_str_eq(is, text);
	close(fd);
}

static void check_names(void)
{
	ck_assert_int_eq(put("file", "one", false), 0);
	holds("one");
	ck_assert_int_eq(put("file", "two", false), -EEXIST);
	holds("one");
	ck_assert_uint_eq(names(), 1);
	ck_assert_int_eq(put("file", "two", true), 0);
	holds("two");
	ck_assert_uint_eq(names(), 1);
	/* A directory is not replaced, and nothing is left beside it. */
	ck_assert_int_eq(mkdirat(directory, "dir", 0700), 0);
	ck_assert_int_eq(put("dir", "x", true), -EISDIR);
	ck_assert_int_eq(put("dir", "x", false), -EEXIST);
	ck_assert_uint_eq(names(), 2);
}

START_TEST(a_file_gets_its_name_when_it_is_whole)
{
	begin(false);
	check_names();
	end();
}
END_TEST

START_TEST(so_it_does_where_it_needs_a_temporary_name)
{
	begin(true);
	check_names();
	end();
}
END_TEST

START_TEST(what_is_not_finished_is_gone)
{
	struct new_file file;
	unsigned old;

	for (old = 0; old < 2; old++) {
		begin(old);
		ck_assert_int_eq(new_file_open(&file, directory, "file"), 0);
		ck_assert_uint_eq(names(), old);
		/* It is locked, so that a sweep leaves it alone. */
		if (old) {
			int fd = (int)syscall(SYS_openat, directory, file.temporary,
					      O_RDONLY | O_CLOEXEC);

			ck_assert_int_ge(fd, 0);
			ck_assert_int_lt(flock(fd, LOCK_EX | LOCK_NB), 0);
			close(fd);
		}
		new_file_close(&file);
		new_file_close(&file);
		end();
	}
	file = NEW_FILE_NONE;
	new_file_close(&file);
}
END_TEST

START_TEST(names_that_are_none)
{
	static const char *const bad[] = {"", ".", "..", "a/b"};
	char longest[NAME_MAX + 2];
	struct new_file file;
	size_t i;

	begin(false);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(new_file_open(&file, directory, bad[i]), -EISDIR);
		new_file_close(&file);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(new_file_open(&file, directory, longest), -ENAMETOOLONG);
	/* The longest one has no room for a temporary name, and needs none unless it replaces. */
	longest[NAME_MAX] = '\0';
	ck_assert_int_eq(put(longest, "x", true), -ENAMETOOLONG);
	ck_assert_int_eq(put(longest, "x", false), 0);
	ck_assert_int_eq(unlinkat(directory, longest, 0), 0);
	end();
}
END_TEST

START_TEST(paths)
{
	struct new_file file;
	char path[PATH_MAX + 8];

	begin(false);
	snprintf(path, sizeof(path), "%s/file", top);
	ck_assert_int_eq(new_file_open_path(&file, path), 0);
	ck_assert_int_eq(new_file_finish(&file, false), 0);
	new_file_close(&file);
	holds("");
	snprintf(path, sizeof(path), "%s/none/file", top);
	ck_assert_int_eq(new_file_open_path(&file, path), -ENOENT);
	new_file_close(&file);
	snprintf(path, sizeof(path), "%s/file/x", top);
	ck_assert_int_eq(new_file_open_path(&file, path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/", top);
	ck_assert_int_eq(new_file_open_path(&file, path), -EISDIR);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 3] = '/';
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(new_file_open_path(&file, path), -ENAMETOOLONG);
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(new_file_open_path(&file, "file"), 0);
	ck_assert_int_eq(new_file_finish(&file, false), -EEXIST);
	ck_assert_int_eq(new_file_finish(&file, true), 0);
	new_file_close(&file);
	ck_assert_int_eq(chdir("/"), 0);
	end();
}
END_TEST

START_TEST(nameless_ones_leave_nothing)
{
	struct stat status;
	unsigned old;
	int fd;

	for (old = 0; old < 2; old++) {
		begin(old);
		fd = new_file_nameless(directory);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fd_write_full(fd, "x", 1), 0);
		ck_assert_int_eq(fstat(fd, &status), 0);
		ck_assert_uint_eq(status.st_nlink, 0);
		ck_assert_uint_eq(names(), 0);
		close(fd);
		end();
	}
	ck_assert_int_eq(new_file_nameless(-1), -EBADF);
}
END_TEST

UNIT_MAIN("new_file", a_file_gets_its_name_when_it_is_whole,
	  so_it_does_where_it_needs_a_temporary_name, what_is_not_finished_is_gone,
	  names_that_are_none, paths, nameless_ones_leave_nothing)
