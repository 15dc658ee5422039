/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of `cordon cp`: links planted by a sandbox, and streams from it. */
#include "vmm/cli/cp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/base/parent.h"
#include "vmm/image/tar.h"

static char top[] = "/tmp/cordon-cp-XXXXXX";

/* A directory, a file, and links to both, as an earlier copy can have left them; the current one.
 */
static void set_up(void)
{
	int fd;

	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(mkdir("there", 0755) | mkdir("there/sub", 0755), 0);
	fd = open("there/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(write(fd, "secret", 6), 6);
	close(fd);
	ck_assert_int_eq(symlink("there", "to-directory"), 0);
	ck_assert_int_eq(symlink("there/file", "to-file"), 0);
	ck_assert_int_eq(symlink("nowhere", "to-nothing"), 0);
}

static void tear_down(void)
{
	char command[64];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

/* The path of directory fd below the top: "" for the top itself. */
static bool is_directory(int fd, const char *path)
{
	struct stat opened, wanted;

	return fstat(fd, &opened) == 0 && stat(path, &wanted) == 0 &&
	       opened.st_ino == wanted.st_ino && opened.st_dev == wanted.st_dev;
}

START_TEST(a_link_on_the_way_is_the_administrators_or_refused)
{
	static const struct {
		const char *path;
		int ret; /* 0: opened */
		const char *parent, *name;
	} turns[] = {
		{"new", 0, ".", "new"},
		{"there/file", 0, "there", "file"},
		{"./there//sub/../file/", 0, "there", "file"},
		{"to-file", 0, ".", "to-file"},
		{"/proc/version", 0, "/proc", "version"},
		{"to-directory/file", -ELOOP, NULL, NULL},
		{"there/../to-directory/sub/x", -ELOOP, NULL, NULL},
		{"to-nothing/x", -ELOOP, NULL, NULL},
		{"/proc/self/status", -ELOOP, NULL, NULL}, /* not root's directory to every user */
		{"missing/x", -ENOENT, NULL, NULL},
		{"there/file/x", -ENOTDIR, NULL, NULL},
		{"there/..", -EINVAL, NULL, NULL},
		{".", -EINVAL, NULL, NULL},
		{"/", -EINVAL, NULL, NULL},
		{"", -EINVAL, NULL, NULL},
	};
	char name[NAME_MAX + 1], path[PATH_MAX];
	struct err err;
	size_t i;
	int fd;

	set_up();
	for (i = 0; i < ARRAY_SIZE(turns); i++) {
		if (turns[i].path[0] == '/' && turns[i].ret == -ELOOP && geteuid() != 0)
			continue;
		fd = parent_open(turns[i].path, name, &err);
		ck_assert_msg(turns[i].ret ? fd == turns[i].ret : fd >= 0, "%s: %d", turns[i].path,
			      fd);
		if (fd < 0)
			continue;
		ck_assert(is_directory(fd, turns[i].parent));
		ck_assert_str_eq(name, turns[i].name);
		close(fd);
	}
	/* The same by the absolute path; and a link in /, which only host root can make. */
	snprintf(path, sizeof(path), "%s/to-directory/x", top);
	ck_assert_int_eq(parent_open(path, name, &err), -ELOOP);
	ck_assert_ptr_nonnull(strstr(err.text, "'to-directory'"));
	snprintf(path, sizeof(path), "%s/there/x", top);
	fd = parent_open(path, name, &err);
	ck_assert_int_ge(fd, 0);
	close(fd);
	if (readlink("/bin", path, sizeof(path)) > 0) {
		fd = parent_open("/bin/sh", name, &err);
		ck_assert_int_ge(fd, 0);
		close(fd);
	}
	tear_down();
}
END_TEST

START_TEST(a_target_is_not_followed_unless_it_ends_with_a_slash)
{
	static const struct {
		const char *path;
		int ret;
		const char *directory, *name;
	} turns[] = {
		{"new", 0, ".", "new"},
		{"there", 0, "there", "source"},
		{"there/", 0, "there", "source"},
		{".", 0, ".", "source"},
		{"there/file", 0, "there", "file"},
		/* Replaced, not written through. */
		{"to-file", 0, ".", "to-file"},
		{"to-nothing", 0, ".", "to-nothing"},
		{"to-directory", -ELOOP, NULL, NULL},
		{"to-directory/", 0, "there", "source"},
		{"to-directory/new", -ELOOP, NULL, NULL},
		/* A slash means the link before it, and none on the way. */
		{"there/sub/", 0, "there/sub", "source"},
		{"to-directory/sub/", -ELOOP, NULL, NULL},
		{"to-directory/.", -ELOOP, NULL, NULL},
		{"to-directory/..", -ELOOP, NULL, NULL},
		{"there/sub/..", 0, "there", "source"},
		{"/", 0, "/", "source"},
		{"to-file/", -ENOTDIR, NULL, NULL},
		{"to-nothing/", -ENOENT, NULL, NULL},
	};
	char name[PATH_MAX];
	struct err err;
	size_t i;
	int fd;

	set_up();
	for (i = 0; i < ARRAY_SIZE(turns); i++) {
		fd = cp_open_target(turns[i].path, "source", name, &err);
		ck_assert_msg(turns[i].ret ? fd == turns[i].ret : fd >= 0, "%s: %d", turns[i].path,
			      fd);
		if (fd < 0)
			continue;
		ck_assert(is_directory(fd, turns[i].directory));
		ck_assert_str_eq(name, turns[i].name);
		close(fd);
	}
	tear_down();
}
END_TEST

START_TEST(a_source_is_not_followed_either)
{
	char base[NAME_MAX + 1], name[NAME_MAX + 1];
	struct err err;
	int fd;

	set_up();
	ck_assert_int_eq(cp_open_source("to-file", base, name, &err), -ELOOP);
	ck_assert_int_eq(cp_open_source("to-directory", base, name, &err), -ELOOP);
	ck_assert_int_eq(cp_open_source("to-directory/file", base, name, &err), -ELOOP);
	ck_assert_int_eq(cp_open_source("to-directory/sub/", base, name, &err), -ELOOP);
	ck_assert_int_eq(cp_open_source("to-directory/.", base, name, &err), -ELOOP);
	ck_assert_int_eq(cp_open_source("/", base, name, &err), -EINVAL);
	ck_assert_int_eq(cp_open_source("there/missing", base, name, &err), -ENOENT);
	fd = cp_open_source("there/file", base, name, &err);
	ck_assert(is_directory(fd, "there"));
	ck_assert_str_eq(base, "file");
	ck_assert_str_eq(name, "file");
	close(fd);
	fd = cp_open_source("to-directory/", base, name, &err);
	ck_assert(is_directory(fd, "there"));
	ck_assert_str_eq(base, ".");
	ck_assert_str_eq(name, "there");
	close(fd);
	tear_down();
}
END_TEST

/* --- a stream for another program ------------------------------------------------------------- */

static void add(int fd, enum tar_type type, const char *name, const char *text)
{
	struct tar_entry entry = {.type = type, .mode = 0644};

	snprintf(entry.name, sizeof(entry.name), "%s", name);
	if (type == TAR_FILE)
		entry.size = strlen(text);
	else
		snprintf(entry.link, sizeof(entry.link), "%s", text);
	ck_assert_int_eq(tar_write_entry(fd, &entry), 0);
	if (type != TAR_FILE)
		return;
	ck_assert_int_eq(fd_write_full(fd, text, entry.size), 0);
	ck_assert_int_eq(tar_write_padding(fd, entry.size), 0);
}

static int filter(int fd, int *out, struct err *err)
{
	int ret;

	ck_assert_int_eq(tar_write_end(fd), 0);
	lseek(fd, 0, SEEK_SET);
	*out = memfd_create("filtered", MFD_CLOEXEC);
	ret = cp_filter(fd, *out, "x", err);
	lseek(*out, 0, SEEK_SET);
	close(fd);
	return ret;
}

START_TEST(a_stream_is_passed_on_entry_by_entry)
{
	static const struct {
		enum tar_type type;
		const char *name, *link, *text;
	} wanted[] = {
		{TAR_DIRECTORY, "x", "", ""},	       {TAR_FILE, "x/file", "", "contents"},
		{TAR_SYMLINK, "x/link", "/etc", ""},   {TAR_LINK, "x/hard", "x/file", ""},
		{TAR_LINK, "x/linked", "x/link", ""},  {TAR_FILE, "x/link-not", "", ""},
		{TAR_FILE, "x/sub/file", "", "below"},
	};
	static struct tar_entry entry;
	struct tar_reader reader;
	struct err err;
	char text[32];
	int fd = memfd_create("tar", MFD_CLOEXEC), out;
	ssize_t n;
	size_t i;

	add(fd, TAR_DIRECTORY, "./x/", "");
	add(fd, TAR_FILE, "./x//file", "contents");
	add(fd, TAR_SYMLINK, "x/link", "/etc");
	add(fd, TAR_LINK, "x/./hard", "./x/file");
	add(fd, TAR_LINK, "x/linked", "x/link");
	add(fd, (enum tar_type)'3', "x/device", "");
	add(fd, TAR_FILE, "x/link-not", "");
	add(fd, TAR_FILE, "x/sub/file", "below");
	ck_assert_int_eq(filter(fd, &out, &err), 0);
	tar_reader_init(&reader, out);
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		ck_assert_int_eq(tar_next(&reader, &entry, &err), 1);
		ck_assert_int_eq(entry.type, wanted[i].type);
		ck_assert_str_eq(entry.name, wanted[i].name);
		ck_assert_str_eq(entry.link, wanted[i].link);
		n = tar_read(&reader, text, sizeof(text) - 1, &err);
		ck_assert_int_ge(n, 0);
		text[n] = '\0';
		ck_assert_str_eq(text, wanted[i].text);
	}
	ck_assert_int_eq(tar_next(&reader, &entry, &err), 0);
	close(out);
}
END_TEST

START_TEST(hostile_names_end_the_stream)
{
	static const struct {
		enum tar_type type;
		const char *name, *link;
	} lies[] = {
		{TAR_FILE, "x/../y", ""},
		{TAR_FILE, "/x/y", ""},
		{TAR_FILE, "y", ""},
		{TAR_LINK, "x/y", "/etc/passwd"},
		{TAR_LINK, "x/y", "x/../../etc/passwd"},
		{TAR_FILE, "x/link/file", ""},
		{TAR_FILE, "x/linked/sub/file", ""},
		{TAR_LINK, "x/y", "x/link/passwd"},
		{TAR_SYMLINK, "x/link/more", "y"},
	};
	struct err err;
	size_t i;
	int fd, out;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		fd = memfd_create("tar", MFD_CLOEXEC);
		add(fd, TAR_SYMLINK, "x/link", "/etc");
		add(fd, TAR_LINK, "x/linked", "x/link");
		add(fd, lies[i].type, lies[i].name, lies[i].link);
		ck_assert_msg(filter(fd, &out, &err) == -EPROTO, "%s", lies[i].name);
		close(out);
	}
}
END_TEST

UNIT_MAIN("cp", a_link_on_the_way_is_the_administrators_or_refused,
	  a_target_is_not_followed_unless_it_ends_with_a_slash, a_source_is_not_followed_either,
	  a_stream_is_passed_on_entry_by_entry, hostile_names_end_the_stream)
