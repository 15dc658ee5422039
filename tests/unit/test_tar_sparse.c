/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse files in tar streams: the four formats of GNU tar, and broken maps beside sound ones. */
#include "vmm/image/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"

static struct tar_entry entry;
static struct tar_sparse map;
static struct err why;
static int stream = -1;

static void seal(char *header)
{
	unsigned sum = 0, i;

	memset(header + 148, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += (uint8_t)header[i];
	snprintf(header + 148, 8, "%06o", sum);
}

static void begin(void)
{
	stream = memfd_create("tar", MFD_CLOEXEC);
	ck_assert_int_ge(stream, 0);
}

static void add_bytes(const void *bytes, size_t size)
{
	ck_assert_int_eq(fd_write_full(stream, bytes, size), 0);
	ck_assert_int_eq(tar_write_padding(stream, size), 0);
}

/* old: what an old sparse header has from byte 386 on, or NULL. */
static void add_header(char type, const char *name, size_t size, const char *old)
{
	char header[TAR_BLOCK] = "";

	snprintf(header, 100, "%s", name);
	snprintf(header + 100, 8, "%07o", 0644);
	snprintf(header + 124, 12, "%011zo", size);
	header[156] = type;
	memcpy(header + 257, old ? "ustar  " : "ustar\00000", 8);
	if (old)
		memcpy(header + 386, old, 109);
	seal(header);
	ck_assert_int_eq(fd_write_full(stream, header, sizeof(header)), 0);
}

/* Pairs of key and value, NULL at the end. */
#define RECORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Adds a pax header with records GNU.sparse.KEY=VALUE. */
static void add_records(const char *const *records)
{
	char text[2000], one[600];
	size_t used = 0, length, digits;

	for (; *records; records += 2) {
		length = (size_t)snprintf(one, sizeof(one), " GNU.sparse.%s=%s\n", records[0],
					  records[1]);
		for (digits = 1; (size_t)snprintf(NULL, 0, "%zu", length + digits) != digits;
		     digits++)
			;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%zu%s", length + digits,
					 one);
	}
	add_header('x', "pax", used, NULL);
	add_bytes(text, used);
}

/* Reads the one entry; with a second one behind it. Closes the stream. */
static int read_entry(char *contents, size_t room)
{
	struct tar_reader reader;
	size_t used = 0;
	ssize_t n = 0;
	int ret;

	add_header('0', "next", 4, NULL);
	add_bytes("next", 4);
	tar_write_end(stream);
	lseek(stream, 0, SEEK_SET);
	tar_reader_init(&reader, stream);
	reader.sparse = &map;
	why.text[0] = '\0';
	ret = tar_next(&reader, &entry, &why);
	ck_assert_msg(ret >= 0 || why.text[0], "an error without a message");
	while (ret == 1 && used < room &&
	       (n = tar_read(&reader, contents + used, room - used, &why)) > 0)
		used += (size_t)n;
	if (ret == 1) {
		static struct tar_entry next;
		char text[8];

		ck_assert_int_eq(n, 0);
		ck_assert_uint_eq(used, entry.size);
		ck_assert_int_eq(tar_next(&reader, &next, &why), 1);
		ck_assert_str_eq(next.name, "next");
		ck_assert(!next.sparse && next.size == 4 && next.holes == 0);
		ck_assert_int_eq(tar_read(&reader, text, sizeof(text), &why), 4);
		ck_assert_mem_eq(text, "next", 4);
	}
	fd_close(&stream);
	return ret;
}

static bool is_expected(const char *contents)
{
	static const char expected[] = "\0\0\0ab\0\0\0\0cde\0\0";

	return entry.size == 14 && entry.holes == 9 && strcmp(entry.name, "file") == 0 &&
	       memcmp(contents, expected, 14) == 0;
}

static void add_text_map(const char *text)
{
	char block[TAR_BLOCK + 5] = "";

	memcpy(block, text, strlen(text));
	memcpy(block + TAR_BLOCK, "abcde", 5);
	add_header('0', "dummy", sizeof(block), NULL);
	add_bytes(block, sizeof(block));
}

/* Fields of an old header: pairs of offset and length, then the flag and the size. */
static void old_fields(char fields[109], unsigned count, bool more, unsigned size)
{
	const unsigned regions[4][2] = {{3, 2}, {9, 3}, {14, 0}, {14, 0}};
	unsigned i;

	memset(fields, 0, 109);
	for (i = 0; i < count; i++) {
		snprintf(fields + i * 24, 12, "%011o", regions[i][0]);
		snprintf(fields + i * 24 + 12, 12, "%011o", regions[i][1]);
	}
	fields[96] = more;
	snprintf(fields + 97, 12, "%011o", size);
}

START_TEST(the_old_format_is_read)
{
	char fields[109], contents[100], block[TAR_BLOCK] = "";
	unsigned i;

	begin();
	old_fields(fields, 3, false, 14);
	add_header('S', "file", 5, fields);
	add_bytes("abcde", 5);
	ck_assert_msg(read_entry(contents, sizeof(contents)) == 1, "%s", why.text);
	ck_assert(is_expected(contents) && entry.sparse && entry.type == TAR_FILE);
	/* In two further blocks; the last one has a single region. */
	begin();
	old_fields(fields, 0, true, 14);
	add_header('S', "file", 5, fields);
	for (i = 0; i < 21; i++) {
		snprintf(block + i * 24, 12, "%011o", i < 20 ? 0 : 3);
		snprintf(block + i * 24 + 12, 12, "%011o", i < 20 ? 0 : 2);
	}
	block[504] = 1;
	add_bytes(block, sizeof(block));
	memset(block, 0, sizeof(block));
	snprintf(block, 12, "%011o", 9);
	snprintf(block + 12, 12, "%011o", 3);
	add_bytes(block, sizeof(block));
	add_bytes("abcde", 5);
	ck_assert_msg(read_entry(contents, sizeof(contents)) == 1, "%s", why.text);
	ck_assert(is_expected(contents));
	/* An empty block, and one of another tar. */
	begin();
	old_fields(fields, 3, true, 14);
	add_header('S', "file", 5, fields);
	memset(block, 0, sizeof(block));
	add_bytes(block, sizeof(block));
	add_bytes("abcde", 5);
	ck_assert_int_eq(read_entry(contents, sizeof(contents)), -EPROTO);
	begin();
	add_header('S', "file", 5, NULL);
	add_bytes("abcde", 5);
	ck_assert_int_eq(read_entry(contents, sizeof(contents)), -EPROTO);
}
END_TEST

START_TEST(formats_of_pax_are_read)
{
	char contents[100];

	begin();
	add_records(RECORDS("size", "14", "numblocks", "3", "offset", "3", "numbytes", "2",
			    "offset", "9", "numbytes", "3", "offset", "14", "numbytes", "0"));
	add_header('0', "file", 5, NULL);
	add_bytes("abcde", 5);
	ck_assert_msg(read_entry(contents, sizeof(contents)) == 1, "%s", why.text);
	ck_assert(is_expected(contents));
	begin();
	add_records(RECORDS("size", "14", "numblocks", "2", "map", "3,2,9,3", "name", "file"));
	add_header('0', "GNUSparseFile.1/file", 5, NULL);
	add_bytes("abcde", 5);
	ck_assert_msg(read_entry(contents, sizeof(contents)) == 1, "%s", why.text);
	ck_assert(is_expected(contents));
	begin();
	add_records(RECORDS("major", "1", "minor", "0", "name", "file", "realsize", "14"));
	add_text_map("3\n3\n2\n9\n3\n14\n0\n");
	ck_assert_msg(read_entry(contents, sizeof(contents)) == 1, "%s", why.text);
	ck_assert(is_expected(contents));
}
END_TEST

/* The map 1.0 of a file of 14 bytes with 5 bytes of data. */
START_TEST(broken_maps_are_refused)
{
	static const struct {
		const char *text;
		int ret;
	} maps[] = {
		{"2\n3\n2\n9\n3\n", 1},
		{"2\n0\n2\n2\n3\n", 1},
		{"1\n9\n5\n", 1},
		{"1\n10\n5\n", -EPROTO}, /* beyond the end */
		{"1\n9\n4\n", -EPROTO},	 /* not all the data */
		{"1\n3\n6\n", -EPROTO},	 /* more than there is */
		{"2\n9\n3\n3\n2\n", -EPROTO},
		{"2\n3\n2\n4\n3\n", -EPROTO},
		{"0\n", -EPROTO},
		{"\n", -EPROTO},
		{"2\n3\n2\n9\n", -EPROTO},
		{"2\n3\n2\n9\n-3\n", -EPROTO},
		{"2\n3\n2\n9\n 3\n", -EPROTO},
		{"2\n3\n2\n999999999999999999\n3\n", -EPROTO},
		{"2\n3\n2\n9999999999999999999\n3\n", -EPROTO},
		{"65536\n3\n2\n9\n3\n", -EPROTO},
		{"65537\n3\n2\n9\n3\n", -E2BIG},
		{"999999999999999999\n3\n2\n", -E2BIG},
	};
	char contents[100];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		begin();
		add_records(RECORDS("major", "1", "minor", "0", "realsize", "14"));
		add_text_map(maps[i].text);
		ck_assert_msg(read_entry(contents, sizeof(contents)) == maps[i].ret, "%zu: %s", i,
			      why.text);
	}
}
END_TEST

START_TEST(broken_records_are_refused)
{
	static const char *const records[][7] = {
		{"size", "14", "map", "3,2,9,3", NULL},
		{"map", "3,2,9,3", "size", "14", NULL},
		{"map", "3,2,9,3", NULL},
		{"size", "14", "map", "3,2,9", NULL},
		{"size", "14", "map", "3,2,9,", NULL},
		{"size", "14", "map", "3,2,,3", NULL},
		{"size", "14", "map", "3 2 9 3", NULL},
		{"size", "", "map", "3,2,9,3", NULL},
		{"size", "-14", "map", "3,2,9,3", NULL},
		{"size", "14", NULL},
		{"size", "14", "numbytes", "5", NULL},
		{"size", "14", "offset", "3", NULL},
		{"size", "14", "offset", "3", "offset", "3", NULL},
		{"size", "14", "map", "3,2,9,3", "numbytes", "1", NULL},
		{"major", "2", "size", "14", NULL},
		{"name", "only", NULL},
	};
	char contents[100];
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(records); i++) {
		begin();
		add_records(records[i]);
		add_header('0', "file", 5, NULL);
		add_bytes("abcde", 5);
		ret = read_entry(contents, sizeof(contents));
		ck_assert_msg(i < 2 ? ret == 1 : ret < 0, "%zu: %d", i, ret);
	}
	/* A directory, and the same as a file. */
	begin();
	add_records(RECORDS("size", "0"));
	add_header('5', "file", 0, NULL);
	ck_assert_int_eq(read_entry(contents, sizeof(contents)), -EPROTO);
	begin();
	add_records(RECORDS("size", "0"));
	add_header('0', "file", 0, NULL);
	ck_assert_int_eq(read_entry(contents, sizeof(contents)), 1);
}
END_TEST

START_TEST(holes_are_skipped)
{
	struct tar_reader reader;
	char bytes[16];

	begin();
	add_records(RECORDS("size", "1000000000000", "map", "3,2,999999999000,3"));
	add_header('0', "file", 5, NULL);
	add_bytes("abcde", 5);
	tar_write_end(stream);
	lseek(stream, 0, SEEK_SET);
	tar_reader_init(&reader, stream);
	reader.sparse = &map;
	ck_assert_int_eq(tar_next(&reader, &entry, &why), 1);
	ck_assert_uint_eq(entry.size, 1000000000000);
	ck_assert_uint_eq(entry.holes, 1000000000000 - 5);
	ck_assert_uint_eq(tar_skip_hole(&reader), 3);
	ck_assert_uint_eq(tar_skip_hole(&reader), 0);
	ck_assert_int_eq(tar_read(&reader, bytes, 1, &why), 1);
	ck_assert_uint_eq(tar_skip_hole(&reader), 0);
	ck_assert_int_eq(tar_read(&reader, bytes + 1, 15, &why), 1);
	ck_assert_uint_eq(tar_skip_hole(&reader), 999999999000 - 5);
	ck_assert_int_eq(tar_read(&reader, bytes + 2, 14, &why), 3);
	ck_assert_mem_eq(bytes, "abcde", 5);
	ck_assert_uint_eq(tar_skip_hole(&reader), 1000 - 3);
	ck_assert_uint_eq(tar_skip_hole(&reader), 0);
	ck_assert_int_eq(tar_read(&reader, bytes, 16, &why), 0);
	ck_assert_int_eq(tar_next(&reader, &entry, &why), 0);
	/* Without a map from the caller, the entry only says that it is sparse. */
	lseek(stream, 0, SEEK_SET);
	tar_reader_init(&reader, stream);
	ck_assert_int_eq(tar_next(&reader, &entry, &why), 1);
	ck_assert(entry.sparse && entry.size == 5 && tar_skip_hole(&reader) == 0);
	fd_close(&stream);
}
END_TEST

UNIT_MAIN("tar sparse", the_old_format_is_read, formats_of_pax_are_read, broken_maps_are_refused,
	  broken_records_are_refused, holes_are_skipped)
