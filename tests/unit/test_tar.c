/* SPDX-License-Identifier: Apache-2.0 */
/* Tar streams, written and read back, damaged, and hostile ones extracted. */
#include "vmm/image/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/cli/cp.h"

static char base[64];
static int directory_fd;

static void begin(void)
{
	strcpy(base, "/tmp/cordon-tar-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	directory_fd = open(base, O_PATH | O_DIRECTORY);
	ck_assert_int_ge(directory_fd, 0);
	umask(022);
}

static void end(void)
{
	char command[128];

	close(directory_fd);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	ck_assert_int_eq(system(command), 0);
}

static int new_stream(void)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void add(int fd, enum tar_type type, const char *name, const char *text)
{
	struct tar_entry entry = {.type = type, .mode = 0644, .mtime = 1000000000};

	if (type == TAR_DIRECTORY)
		entry.mode = 0755;
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

static int extract(int fd, struct err *err)
{
	int ret;

	ck_assert_int_eq(tar_write_end(fd), 0);
	lseek(fd, 0, SEEK_SET);
	err->text[0] = '\0';
	ret = cp_extract(fd, directory_fd, "src", "dst", err);
	close(fd);
	return ret;
}

static bool has(const char *name, const char *wanted)
{
	char text[256] = "", path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	fd = open(path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return false;
	fd_read_full(fd, text, sizeof(text) - 1);
	close(fd);
	return strcmp(text, wanted) == 0;
}

START_TEST(entries_round_trip)
{
	static struct tar_entry entry;
	char name[3000], text[64];
	struct tar_reader reader;
	struct err err;
	size_t length;
	int fd = new_stream();

	for (length = 90; length < 3000; length += 97) {
		memset(name, 'n', length);
		name[length] = '\0';
		add(fd, TAR_SYMLINK, name, name);
		add(fd, TAR_FILE, name, "contents");
	}
	ck_assert_int_eq(tar_write_end(fd), 0);
	lseek(fd, 0, SEEK_SET);
	tar_reader_init(&reader, fd);
	for (length = 90; length < 3000; length += 97) {
		ck_assert_int_eq(tar_next(&reader, &entry, &err), 1);
		ck_assert_int_eq(entry.type, TAR_SYMLINK);
		ck_assert_uint_eq(strlen(entry.name), length);
		ck_assert_uint_eq(strlen(entry.link), length);
		ck_assert_int_eq(tar_next(&reader, &entry, &err), 1);
		ck_assert_int_eq(entry.type, TAR_FILE);
		ck_assert_uint_eq(entry.mode, 0644);
		ck_assert_int_eq(entry.mtime, 1000000000);
		if (length % 2) /* read, or left to the reader to skip */
			continue;
		ck_assert_int_eq(tar_read(&reader, text, sizeof(text), &err), 8);
		ck_assert_mem_eq(text, "contents", 8);
		ck_assert_int_eq(tar_read(&reader, text, sizeof(text), &err), 0);
	}
	ck_assert_int_eq(tar_next(&reader, &entry, &err), 0);
	ck_assert_int_eq(tar_next(&reader, &entry, &err), 0);
	close(fd);
}
END_TEST

START_TEST(a_tree_is_extracted)
{
	struct stat status;
	char path[128];
	struct err err;
	int fd = new_stream();

	begin();
	add(fd, TAR_DIRECTORY, "./src/", "");
	add(fd, TAR_FILE, "./src/a", "one");
	add(fd, TAR_DIRECTORY, "src/sub", "");
	add(fd, TAR_FILE, "src/sub/./b", "two");
	add(fd, TAR_SYMLINK, "src/s", "/etc/passwd");
	add(fd, TAR_LINK, "src/l", "src/a");
	add((fd), (enum tar_type)'6', "src/pipe", "");
	ck_assert_msg(extract(fd, &err) == 0, "%s", err.text);
	ck_assert(has("dst/a", "one") && has("dst/sub/b", "two") && has("dst/l", "one"));
	snprintf(path, sizeof(path), "%s/dst/s", base);
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISLNK(status.st_mode));
	snprintf(path, sizeof(path), "%s/dst/a", base);
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert_int_eq(status.st_mtime, 1000000000);
	ck_assert_uint_eq(status.st_mode & 07777, 0644);
	snprintf(path, sizeof(path), "%s/dst/pipe", base);
	ck_assert_int_lt(lstat(path, &status), 0);
	end();
}
END_TEST

/* Each way out of the directory, and the same entries in order with an honest name. */
START_TEST(nothing_leaves_the_directory)
{
	static const char *const names[] = {
		"/etc/cordon-test",
		"../escaped",
		"src/../../escaped",
		"src/../escaped",
		"..",
		"other/file",
		"srcx",
		"",
		"./../src/escaped",
		"src/./../../..",
		"src/..",
		".",
	};
	struct err err;
	size_t i;
	int fd;

	begin();
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		fd = new_stream();
		add(fd, TAR_FILE, names[i], "bad");
		ck_assert_msg(extract(fd, &err) == -EPROTO, "%s", names[i]);
		fd = new_stream();
		add(fd, TAR_FILE, "src", "x");
		add(fd, TAR_LINK, "src", names[i]);
		ck_assert_msg(extract(fd, &err) < 0, "link to %s", names[i]);
	}
	ck_assert(has("dst", "x"));
	ck_assert(access("/tmp/escaped", F_OK) < 0);
	end();
}
END_TEST

START_TEST(links_are_never_followed)
{
	char outside[] = "/tmp/cordon-outside-XXXXXX", path[256];
	struct err err;
	int fd;

	begin();
	ck_assert_ptr_nonnull(mkdtemp(outside));
	/* A link of the stream, then a file through it; the link may also be the top itself. */
	fd = new_stream();
	add(fd, TAR_DIRECTORY, "src", "");
	add(fd, TAR_SYMLINK, "src/link", outside);
	add(fd, TAR_FILE, "src/link/file", "bad");
	ck_assert_int_eq(extract(fd, &err), -ELOOP);
	ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
	fd = new_stream();
	add(fd, TAR_DIRECTORY, "src/sub", ""); /* its parent is there from before */
	add(fd, TAR_SYMLINK, "src/sub/up", "..");
	add(fd, TAR_FILE, "src/sub/up/file", "bad");
	ck_assert_int_eq(extract(fd, &err), -ELOOP);
	/* A file over a link replaces the link. */
	snprintf(path, sizeof(path), "%s/victim", outside);
	fd = new_stream();
	add(fd, TAR_SYMLINK, "src/v", path);
	add(fd, TAR_FILE, "src/v", "mine");
	ck_assert_int_eq(extract(fd, &err), 0);
	ck_assert(has("dst/v", "mine"));
	/* A directory over a link is refused. */
	fd = new_stream();
	add(fd, TAR_DIRECTORY, "src/link", "");
	ck_assert_int_eq(extract(fd, &err), -EEXIST);
	/* A hard link through one, too. */
	fd = new_stream();
	add(fd, TAR_LINK, "src/h", "src/link/file");
	ck_assert_int_lt(extract(fd, &err), 0);
	ck_assert_int_eq(rmdir(outside), 0); /* nothing came there */
	end();
}
END_TEST

START_TEST(a_file_is_replaced_not_written_into)
{
	char path[256], other[256];
	struct err err;
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/dst", base);
	snprintf(other, sizeof(other), "%s/other", base);
	fd = open(other, O_WRONLY | O_CREAT, 0644);
	ck_assert_int_eq(fd_write_full(fd, "old", 3), 0);
	close(fd);
	ck_assert_int_eq(link(other, path), 0);
	fd = new_stream();
	add(fd, TAR_FILE, "src", "new");
	ck_assert_int_eq(extract(fd, &err), 0);
	ck_assert(has("dst", "new") && has("other", "old"));
	end();
}
END_TEST

/* Cut anywhere, or with any bit flipped: an error or an honest result, and never outside. */
START_TEST(damage_is_harmless)
{
	static uint8_t copy[20 * TAR_BLOCK];
	static struct tar_entry entry;
	struct tar_reader reader;
	struct err err;
	ssize_t size;
	unsigned i;
	size_t at;
	int fd = new_stream(), ret;
	char name[300];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	add(fd, TAR_FILE, name, "contents");
	add(fd, TAR_SYMLINK, "src/link", name);
	add(fd, TAR_FILE, "src/b", "more");
	tar_write_end(fd);
	size = fd_pread_full(fd, copy, sizeof(copy), 0);
	ck_assert_int_gt(size, 0);
	for (i = 0; i < 5000; i++) {
		at = i * 7919u % (size_t)(size * 8);
		copy[at / 8] ^= (uint8_t)(1u << at % 8);
		ck_assert_int_eq(pwrite(fd, copy, (size_t)size, 0), size);
		ck_assert_int_eq(ftruncate(fd, i % 3 ? size : (off_t)(at / 8)), 0);
		lseek(fd, 0, SEEK_SET);
		tar_reader_init(&reader, fd);
		while ((ret = tar_next(&reader, &entry, &err)) == 1)
			ck_assert_uint_lt(strlen(entry.name), PATH_MAX);
		if (i % 3 == 0 && at / 8 < (size_t)size - 2 * TAR_BLOCK)
			ck_assert_int_lt(ret, 0);
		copy[at / 8] ^= (uint8_t)(1u << at % 8);
	}
	close(fd);
}
END_TEST

START_TEST(pax_names_are_read_and_checked)
{
	static const struct {
		const char *record;
		int ret;
	} records[] = {
		{"12 path=src\n", 0},
		{"12 path=src", -EPROTO},
		{"99 path=src\n", -EPROTO},
		{"0 path=src\n", -EPROTO},
		{"path=src\n", -EPROTO},
		{"12 pathsrc=\n", 0},
		{"3 =\n", -EPROTO},
		{"4 =\n", 0},
		{"999999999999 a=b\n", -EPROTO},
		{"11 size=-1\n", -EPROTO},
		{"12 size=1e9\n", -EPROTO},
	};
	static struct tar_entry entry;
	uint8_t header[TAR_BLOCK], block[TAR_BLOCK];
	struct tar_reader reader;
	struct err err;
	size_t i, k;
	unsigned sum;
	int fd;

	for (i = 0; i < ARRAY_SIZE(records); i++) {
		fd = new_stream();
		/* An extended header is made from a file's by changing its type. */
		add(fd, TAR_FILE, "x", records[i].record);
		fd_pread_full(fd, header, sizeof(header), 0);
		header[156] = 'x';
		memset(header + 148, ' ', 8);
		for (k = 0, sum = 0; k < sizeof(header); k++)
			sum += header[k];
		snprintf((char *)header + 148, 8, "%06o", sum);
		ck_assert_int_eq(pwrite(fd, header, sizeof(header), 0), TAR_BLOCK);
		fd_pread_full(fd, block, sizeof(block), TAR_BLOCK);
		add(fd, TAR_FILE, "name", "contents");
		tar_write_end(fd);
		lseek(fd, 0, SEEK_SET);
		tar_reader_init(&reader, fd);
		ck_assert_msg(tar_next(&reader, &entry, &err) ==
				      (records[i].ret ? records[i].ret : 1),
			      "%s", records[i].record);
		if (i == 0)
			ck_assert_str_eq(entry.name, "src");
		close(fd);
	}
}
END_TEST

UNIT_MAIN("tar", entries_round_trip, a_tree_is_extracted, nothing_leaves_the_directory,
	  links_are_never_followed, a_file_is_replaced_not_written_into, damage_is_harmless,
	  pax_names_are_read_and_checked)
