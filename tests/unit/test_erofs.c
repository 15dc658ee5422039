/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes, contents, attributes and directories of erofs images, read back. */
#include "tests/unit/erofs_common.h"

#include <fcntl.h>

START_TEST(an_empty_image_is_sound)
{
	struct erofs_found root;

	begin(NULL);
	complete();
	root = found("");
	ck_assert_uint_eq(root.mode, S_IFDIR | 0755);
	ck_assert_uint_eq(root.links, 2);
	ck_assert_uint_eq(made.super.inos, 1);
	ck_assert_uint_eq(made.length, 2 * EROFS_BLKSIZ);
	end();
}
END_TEST

START_TEST(types_modes_owners_and_times_are_kept)
{
	const struct {
		struct erofs_stat stat;
		const char *target;
		uint32_t device;
		bool compact;
	} cases[] = {
		{{S_IFREG | 0640, 0, 0, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, true},
		{{S_IFREG | 04755, 65535, 65535, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, true},
		{{S_IFREG | 02755, 65536, 0, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, false},
		{{S_IFREG | 06000, 0, 65536, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, false},
		{{S_IFREG, UINT32_MAX - 1, 4000000000, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, false},
		{{S_IFREG | 0644, 0, 0, 0, 0, MTIME + 1, 0, NULL, 0}, NULL, 0, false},
		{{S_IFREG | 0644, 0, 0, 0, 0, MTIME, 999999999, NULL, 0}, NULL, 0, false},
		{{S_IFREG | 0644, 0, 0, 0, 0, -5, 1, NULL, 0}, NULL, 0, false},
		{{S_IFREG | 0644, 0, 0, 0, 0, 1ll << 34, 0, NULL, 0}, NULL, 0, false},
		{{S_IFDIR | 01777, 7, 8, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, true},
		{{S_IFLNK | 0777, 1, 2, 0, 0, MTIME, 0, NULL, 0}, "a/b", 0, true},
		{{S_IFCHR | 0666, 0, 0, 1, 3, MTIME, 0, NULL, 0}, NULL, 0x103, true},
		{{S_IFBLK | 0660, 0, 6, 259, 0x12345, MTIME, 0, NULL, 0}, NULL, 0x12310345, true},
		{{S_IFCHR, 0, 0, 4095, 0xfffff, MTIME, 0, NULL, 0}, NULL, UINT32_MAX, true},
		{{S_IFIFO | 0600, 0, 0, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, true},
		{{S_IFSOCK | 0700, 0, 0, 0, 0, MTIME, 0, NULL, 0}, NULL, 0, true},
	};
	struct erofs_found at;
	char name[8];
	size_t i;

	begin(NULL);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		ck_assert_int_eq(add_stat(name, &cases[i].stat, cases[i].target), 0);
	}
	complete();
	ck_assert_int_eq((int64_t)made.super.build_time, MTIME);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		at = found(name);
		ck_assert_uint_eq(at.mode, cases[i].stat.mode);
		ck_assert_uint_eq(at.uid, cases[i].stat.uid);
		ck_assert_uint_eq(at.gid, cases[i].stat.gid);
		ck_assert_int_eq(at.mtime, cases[i].stat.mtime);
		ck_assert_uint_eq(at.mtime_nsec, cases[i].stat.mtime_nsec);
		ck_assert_msg(at.compact == cases[i].compact, "%s", name);
		ck_assert_uint_eq(at.links, S_ISDIR(at.mode) ? 2 : 1);
		if (S_ISCHR(at.mode) || S_ISBLK(at.mode))
			ck_assert_uint_eq(at.i_u, cases[i].device);
	}
	ck_assert(has("f10", "a/b"));
	end();
}
END_TEST

START_TEST(impossible_files_are_refused)
{
	static char target[4097];
	const struct {
		struct erofs_stat stat;
		size_t target; /* bytes */
		int ret;
	} cases[] = {
		{{S_IFREG | 07777, 0, 0, 0, 0, 0, 0, NULL, 0}, 0, 0},
		{{0644, 0, 0, 0, 0, 0, 0, NULL, 0}, 0, -EINVAL},
		{{S_IFMT | 0644, 0, 0, 0, 0, 0, 0, NULL, 0}, 0, -EINVAL},
		{{S_IFREG | 0200000, 0, 0, 0, 0, 0, 0, NULL, 0}, 0, -EINVAL},
		{{S_IFREG, 0, 0, 0, 0, 0, 1000000000, NULL, 0}, 0, -EINVAL},
		{{S_IFCHR, 0, 0, 4096, 0, 0, 0, NULL, 0}, 0, -EINVAL},
		{{S_IFBLK, 0, 0, 0, 1 << 20, 0, 0, NULL, 0}, 0, -EINVAL},
		{{S_IFREG, 0, 0, 4096, 1 << 20, 0, 0, NULL, 0}, 0, 0}, /* not looked at */
		{{S_IFLNK, 0, 0, 0, 0, 0, 0, NULL, 0}, 0, -EINVAL},
		{{S_IFLNK, 0, 0, 0, 0, 0, 0, NULL, 0}, 1, 0},
		{{S_IFLNK, 0, 0, 0, 0, 0, 0, NULL, 0}, 2048, 0},
		{{S_IFLNK, 0, 0, 0, 0, 0, 0, NULL, 0}, 2049, 0},
		{{S_IFLNK, 0, 0, 0, 0, 0, 0, NULL, 0}, 4095, 0},
		{{S_IFLNK, 0, 0, 0, 0, 0, 0, NULL, 0}, 4096, -EINVAL},
	};
	char name[8];
	size_t i;

	begin(NULL);
	ck_assert_int_eq(erofs_write(fs, "x", 1, &why), -EINVAL); /* no file */
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(target, 't', sizeof(target));
		target[cases[i].target] = '\0';
		snprintf(name, sizeof(name), "f%zu", i);
		ck_assert_msg(add_stat(name, &cases[i].stat, target) == cases[i].ret, "%zu: %s", i,
			      why.text);
	}
	ck_assert_int_eq(add_symlink("link", "x"), 0);
	ck_assert_int_eq(erofs_write(fs, "x", 1, &why), -EINVAL); /* a link */
	complete();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		memset(target, 't', sizeof(target));
		target[cases[i].target] = '\0';
		if (cases[i].ret < 0 || !S_ISLNK(cases[i].stat.mode))
			ck_assert(has(name, NULL) == (cases[i].ret < 0));
		else
			ck_assert_msg(has(name, target), "%zu", i);
	}
	end();
}
END_TEST

/* --- contents --------------------------------------------------------------------------------- */

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(1 + (at * 7 + at / 4096) % 255); /* never 0 */
}

static void write_pattern(uint64_t from, uint64_t to)
{
	uint8_t bytes[5000];
	size_t i, part;

	for (; from < to; from += part) {
		part = min_u64(to - from, sizeof(bytes));
		for (i = 0; i < part; i++)
			bytes[i] = pattern(from + i);
		ck_assert_int_eq(erofs_write(fs, bytes, part, &why), 0);
	}
}

static bool is_pattern(const struct erofs_found *file, uint64_t from, uint64_t to)
{
	uint8_t bytes[4096];
	size_t i, part;

	for (; from < to; from += part) {
		part = erofs_image_read(&made, file, from, bytes,
					min_u64(to - from, sizeof(bytes)));
		if (part == 0)
			return false;
		for (i = 0; i < part; i++)
			if (bytes[i] != pattern(from + i))
				return false;
	}
	return true;
}

START_TEST(contents_of_all_sizes_are_kept)
{
	static const uint32_t sizes[] = {0,	1,     100,   2047,  2048,   2049,   4095,
					 4096,	4097,  6144,  6145,  65535,  65536,  65537,
					 67584, 67585, 69632, 70000, 131072, 1000001};
	const uint32_t tails[] = {EROFS_TAIL_MAX, 0, 100, UINT32_MAX};
	struct erofs_limits limits = erofs_limits_default;
	struct erofs_found file;
	uint32_t tail;
	size_t i, k;
	char name[16];

	for (k = 0; k < ARRAY_SIZE(tails); k++) {
		limits.tail = tails[k];
		begin(&limits);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			snprintf(name, sizeof(name), "f%u", sizes[i]);
			ck_assert_int_eq(add_mode(name, S_IFREG | 0644), 0);
			write_pattern(0, sizes[i]);
		}
		complete();
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			snprintf(name, sizeof(name), "f%u", sizes[i]);
			file = found(name);
			tail = sizes[i] % EROFS_BLKSIZ;
			ck_assert_uint_eq(file.size, sizes[i]);
			ck_assert_msg(is_pattern(&file, 0, sizes[i]), "%s", name);
			ck_assert_uint_eq(file.layout,
					  tail > 0 && tail <= min_u64(tails[k], EROFS_TAIL_MAX)
						  ? EROFS_INODE_FLAT_INLINE
						  : EROFS_INODE_FLAT_PLAIN);
		}
		end();
	}
}
END_TEST

static void write_zeros(uint64_t length)
{
	static const uint8_t zeros[65536];
	size_t part;

	for (; length > 0; length -= part) {
		part = min_u64(length, sizeof(zeros));
		ck_assert_int_eq(erofs_write(fs, zeros, part, &why), 0);
	}
}

static bool is_zero(const struct erofs_found *file, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[65536];
	static uint8_t bytes[65536];
	size_t part;

	for (; from < to; from += part) {
		part = erofs_image_read(&made, file, from, bytes,
					min_u64(to - from, sizeof(bytes)));
		if (part == 0 || memcmp(bytes, zeros, part) != 0)
			return false;
	}
	return true;
}

START_TEST(zeros_become_holes)
{
	const uint64_t chunk = KIB(64);
	struct erofs_found file;

	begin(NULL);
	ck_assert_int_eq(add_mode("zeros", S_IFREG | 0644), 0);
	write_zeros(3 * chunk + 5);
	ck_assert_int_eq(add_mode("few", S_IFREG | 0644), 0);
	write_zeros(chunk - 1); /* no whole chunk */
	ck_assert_int_eq(add_mode("between", S_IFREG | 0644), 0);
	write_pattern(0, 10);
	write_zeros(3 * chunk);
	write_pattern(10 + 3 * chunk, 4 * chunk + 20);
	ck_assert_int_eq(add_mode("end", S_IFREG | 0644), 0);
	write_pattern(0, chunk);
	write_zeros(chunk);
	write_pattern(2 * chunk, 3 * chunk);
	write_zeros(chunk + 1000);
	complete();
	ck_assert_uint_eq(made.super.feature_incompat, EROFS_FEATURE_INCOMPAT_CHUNKED_FILE);
	/* few, 2 chunks of between and a block for 20 bytes of it, 2 chunks of end. */
	ck_assert_uint_eq(made.super.meta_blkaddr, 1 + 16 * (1 + 2 + 2) + 1);
	file = found("zeros");
	ck_assert_uint_eq(file.layout, EROFS_INODE_CHUNK_BASED);
	ck_assert(file.size == 3 * chunk + 5 && is_zero(&file, 0, file.size));
	file = found("few");
	ck_assert_uint_eq(file.layout, EROFS_INODE_FLAT_PLAIN);
	ck_assert(is_zero(&file, 0, chunk - 1));
	file = found("between");
	ck_assert(is_pattern(&file, 0, 10) && is_zero(&file, 10, 10 + 3 * chunk));
	ck_assert(is_pattern(&file, 10 + 3 * chunk, 4 * chunk + 20));
	file = found("end");
	ck_assert(is_pattern(&file, 0, chunk) && is_zero(&file, chunk, 2 * chunk));
	ck_assert(is_pattern(&file, 2 * chunk, 3 * chunk) && is_zero(&file, 3 * chunk, file.size));
	ck_assert_uint_eq(file.size, 4 * chunk + 1000);
	end();
}
END_TEST

START_TEST(a_file_may_be_larger_than_4_GiB)
{
	const uint64_t large = GIB(4) + 12345;
	struct erofs_found file;

	begin(NULL);
	ck_assert_int_eq(add_mode("large", S_IFREG | 0644), 0);
	write_pattern(0, 99999);
	write_zeros(large - 2 * 99999);
	write_pattern(large - 99999, large);
	complete();
	file = found("large");
	ck_assert(!file.compact && file.size == large);
	ck_assert(is_pattern(&file, 0, 99999) && is_pattern(&file, large - 99999, large));
	ck_assert_uint_lt(made.length, MIB(1));
	end();
}
END_TEST

START_TEST(replaced_contents_are_given_back)
{
	struct stat before, after;

	begin(NULL);
	ck_assert_int_eq(add_mode("kept", S_IFREG | 0644), 0);
	write_pattern(0, MIB(1));
	ck_assert_int_eq(add_link("name", "kept"), 0);
	ck_assert_int_eq(add_mode("gone", S_IFREG | 0644), 0);
	write_pattern(0, MIB(4));
	ck_assert_int_eq(add_link("other", "gone"), 0);
	ck_assert_int_eq(fstat(fs_fd, &before), 0);
	ck_assert_int_eq(add_file("gone", "now short"), 0);
	ck_assert_int_eq(erofs_remove(fs, "kept", &why), 0);
	ck_assert_int_eq(fstat(fs_fd, &after), 0);
	ck_assert_int_eq(after.st_blocks, before.st_blocks); /* they have other names */
	ck_assert_int_eq(erofs_remove(fs, "other", &why), 0);
	ck_assert_int_eq(fstat(fs_fd, &after), 0);
	ck_assert_int_eq(before.st_blocks - after.st_blocks, (blkcnt_t)(MIB(4) / 512));
	complete();
	ck_assert(has("gone", "now short") && has("kept", NULL) && has("other", NULL));
	ck_assert_uint_eq(found("name").links, 1);
	end();
}
END_TEST

START_TEST(errors_of_the_file_are_reported)
{
	const struct erofs_stat stat = {.mode = S_IFREG | 0644};
	static const uint8_t uuid[16], bytes[KIB(64)] = {1};
	int fd, seal;

	for (seal = 0; seal < 2; seal++) {
		fd = memfd_create("erofs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ck_assert_int_eq(erofs_create(&fs, fd, NULL, &why), 0);
		ck_assert_int_eq(erofs_add(fs, "f", &stat, NULL, &why), 0);
		ck_assert_int_eq(erofs_write(fs, bytes, sizeof(bytes), &why), 0);
		if (seal)
			ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
		why.text[0] = '\0';
		ck_assert_int_eq(erofs_write(fs, bytes, sizeof(bytes), &why), seal ? -EPERM : 0);
		ck_assert_int_eq(erofs_finish(fs, uuid, &why), seal ? -EPERM : 0);
		ck_assert(!seal == !why.text[0]);
		erofs_destroy(fs);
		close(fd);
	}
}
END_TEST

UNIT_MAIN("erofs", an_empty_image_is_sound, types_modes_owners_and_times_are_kept,
	  impossible_files_are_refused, contents_of_all_sizes_are_kept, zeros_become_holes,
	  a_file_may_be_larger_than_4_GiB, replaced_contents_are_given_back,
	  errors_of_the_file_are_reported)
