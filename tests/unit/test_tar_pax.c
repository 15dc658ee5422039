/* SPDX-License-Identifier: Apache-2.0 */
/* Times, devices and extended attributes in headers of tar streams. */
#include "vmm/image/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"

static struct tar_entry entry;
static struct tar_attributes attributes;
static struct err why;

static void seal(char *header)
{
	unsigned sum = 0, i;

	memset(header + 148, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += (uint8_t)header[i];
	snprintf(header + 148, 8, "%06o", sum);
}

static void add_header(int fd, char type, const char *name, uint64_t size, const char *device)
{
	char header[TAR_BLOCK] = "";

	snprintf(header, 100, "%s", name);
	snprintf(header + 100, 8, "%07o", 0644);
	snprintf(header + 124, 12, "%011o", (unsigned)size);
	snprintf(header + 136, 12, "%011o", 1000000000);
	header[156] = type;
	memcpy(header + 257, "ustar\00000", 8);
	memcpy(header + 329, device, strlen(device));
	seal(header);
	ck_assert_int_eq(fd_write_full(fd, header, sizeof(header)), 0);
}

static void add_pax(int fd, const char *records, size_t size)
{
	add_header(fd, 'x', "pax", size, "");
	ck_assert_int_eq(fd_write_full(fd, records, size), 0);
	ck_assert_int_eq(tar_write_padding(fd, size), 0);
}

/* A record of the right length around KEY=VALUE. */
static size_t record(char *to, const char *key, const char *value, size_t size)
{
	size_t length = strlen(key) + size + 3, digits = 1, n;

	while ((size_t)snprintf(NULL, 0, "%zu", length + digits) != digits)
		digits++;
	n = (size_t)sprintf(to, "%zu %s=", length + digits, key);
	memcpy(to + n, value, size);
	to[n + size] = '\n';
	return n + size + 1;
}

/* Reads the one entry behind these records. */
static int read_entry(const char *records, size_t size, bool with_attributes)
{
	int fd = memfd_create("tar", MFD_CLOEXEC), ret;
	struct tar_reader reader;

	add_pax(fd, records, size);
	add_header(fd, '0', "name", 0, "");
	ck_assert_int_eq(tar_write_end(fd), 0);
	lseek(fd, 0, SEEK_SET);
	tar_reader_init(&reader, fd);
	reader.attributes = with_attributes ? &attributes : NULL;
	why.text[0] = '\0';
	ret = tar_next(&reader, &entry, &why);
	ck_assert(ret >= 0 || why.text[0]);
	if (ret == 1)
		ck_assert_int_eq(tar_next(&reader, &entry, &why), 0);
	close(fd);
	return ret;
}

START_TEST(times_are_read_to_the_nanosecond)
{
	static const struct {
		const char *text;
		int ret;
		int64_t mtime;
		uint32_t nsec;
	} times[] = {
		{"0", 1, 0, 0},
		{"1700000000", 1, 1700000000, 0},
		{"1700000000.5", 1, 1700000000, 500000000},
		{"1.000000001", 1, 1, 1},
		{"1.0000000019", 1, 1, 1},
		{"1.", 1, 1, 0},
		{"-1", 1, -1, 0},
		{"-1.25", 1, -2, 750000000},
		{"-0.5", 1, -1, 500000000},
		{"99999999999", 1, 99999999999, 0},
		{"100000000000", -EPROTO, 0, 0},
		{"", -EPROTO, 0, 0},
		{"-", -EPROTO, 0, 0},
		{".5", -EPROTO, 0, 0},
		{"1.5x", -EPROTO, 0, 0},
		{"+1", -EPROTO, 0, 0},
		{"1e9", -EPROTO, 0, 0},
		{"--1", -EPROTO, 0, 0},
	};
	char text[100];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(times); i++) {
		ck_assert_msg(
			read_entry(text,
				   record(text, "mtime", times[i].text, strlen(times[i].text)),
				   false) == times[i].ret,
			"%s", times[i].text);
		if (times[i].ret < 0)
			continue;
		ck_assert_msg(entry.mtime == times[i].mtime && entry.mtime_nsec == times[i].nsec,
			      "%s: %lld %u", times[i].text, (long long)entry.mtime,
			      entry.mtime_nsec);
	}
	ck_assert_int_eq(read_entry(text, record(text, "atime", "x", 1), false), 1);
	ck_assert(entry.mtime == 1000000000 && entry.mtime_nsec == 0);
}
END_TEST

START_TEST(attributes_are_read_if_they_are_wanted)
{
	static const char value[] = "a=b\n\0c";
	char text[1000];
	size_t n;

	n = record(text, "SCHILY.xattr.user.x", value, sizeof(value) - 1);
	n += record(text + n, "SCHILY.xattr.security.capability", "", 0);
	n += record(text + n, "SCHILY.acl.access", "user::rw-", 9);
	n += record(text + n, "SCHILY.xattr.user.y", "1", 1);
	n += record(text + n, "SCHILY.xattr.user.x", "again", 5);
	ck_assert_int_eq(read_entry(text, n, false), 1);
	ck_assert_int_eq(read_entry(text, n, true), 1);
	/* The second call of tar_next(), at the end, has emptied the list, but not the array. */
	ck_assert_uint_eq(attributes.count, 0);
	ck_assert_str_eq(attributes.list[0].name, "user.x");
	ck_assert_uint_eq(attributes.list[0].size, 5);
	ck_assert_mem_eq(attributes.list[0].value, "again", 5);
	ck_assert_str_eq(attributes.list[1].name, "security.capability");
	ck_assert_uint_eq(attributes.list[1].size, 0);
	ck_assert_str_eq(attributes.list[2].name, "user.y");
	n = record(text, "SCHILY.xattr.user.x", value, sizeof(value) - 1);
	ck_assert_int_eq(read_entry(text, n, true), 1);
	ck_assert_mem_eq(attributes.list[0].value, value, sizeof(value) - 1);
	ck_assert_int_eq(read_entry(text, record(text, "SCHILY.xattr.", "x", 1), true), -EPROTO);
	ck_assert_int_eq(read_entry(text, record(text, "SCHILY.xattr.", "x", 1), false), 1);
}
END_TEST

START_TEST(attributes_are_bounded)
{
	static char text[128 << 10], value[64 << 10];
	char name[300];
	unsigned i, count;
	size_t n, length;

	for (count = TAR_ATTRIBUTES_MAX; count <= TAR_ATTRIBUTES_MAX + 1; count++) {
		for (i = 0, n = 0; i < count; i++) {
			snprintf(name, sizeof(name), "SCHILY.xattr.user.%u", i);
			n += record(text + n, name, "v", 1);
		}
		ck_assert_int_eq(read_entry(text, n, true),
				 count > TAR_ATTRIBUTES_MAX ? -E2BIG : 1);
	}
	for (length = TAR_ATTRIBUTE_NAME_MAX; length <= TAR_ATTRIBUTE_NAME_MAX + 1; length++) {
		memset(name, 'n', sizeof(name));
		memcpy(name, "SCHILY.xattr.", 13);
		name[13 + length] = '\0';
		ck_assert_int_eq(read_entry(text, record(text, name, "v", 1), true),
				 length > TAR_ATTRIBUTE_NAME_MAX ? -EPROTO : 1);
	}
	/* Replaced values take room, too: one header has less than the room, two have not. */
	for (count = 1; count <= 2; count++) {
		int fd = memfd_create("tar", MFD_CLOEXEC), ret;
		struct tar_reader reader;

		n = record(text, "SCHILY.xattr.user.x", value, 60000);
		for (i = 0; i < count; i++)
			add_pax(fd, text, n);
		add_header(fd, '0', "name", 0, "");
		lseek(fd, 0, SEEK_SET);
		tar_reader_init(&reader, fd);
		reader.attributes = &attributes;
		ret = tar_next(&reader, &entry, &why);
		ck_assert_int_eq(ret, count > 1 ? -E2BIG : 1);
		close(fd);
	}
}
END_TEST

START_TEST(device_numbers_are_read)
{
	static const struct {
		const char *major, *minor;
		uint32_t numbers[2];
	} devices[] = {
		{"0000001", "0000003", {1, 3}},
		{"0000403", "7777777", {259, 07777777}},
		{"", "", {0, 0}},
		{"9999999", "0000001", {UINT32_MAX, 1}},
	};
	struct tar_reader reader;
	char field[17];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		fd = memfd_create("tar", MFD_CLOEXEC);
		snprintf(field, sizeof(field), "%-7s %-7s", devices[i].major, devices[i].minor);
		add_header(fd, '3', "name", 0, field);
		lseek(fd, 0, SEEK_SET);
		tar_reader_init(&reader, fd);
		ck_assert_int_eq(tar_next(&reader, &entry, &why), 1);
		ck_assert_uint_eq(entry.major, devices[i].numbers[0]);
		ck_assert_uint_eq(entry.minor, devices[i].numbers[1]);
		close(fd);
	}
}
END_TEST

UNIT_MAIN("tar pax", times_are_read_to_the_nanosecond, attributes_are_read_if_they_are_wanted,
	  attributes_are_bounded, device_numbers_are_read)
