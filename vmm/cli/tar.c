/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* A header that belongs to the next entry (a long name, pax records) may have so much. */
#define EXTENSION_MAX KIB(64)

/* POSIX.1-1988 header; all fields are text, padded with spaces or zeros. */
struct ustar {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char user[32], group[32];
	char major[8], minor[8];
	char prefix[155];
	char rest[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

/* --- reading ---------------------------------------------------------------------------------- */

void tar_reader_init(struct tar_reader *reader, int fd)
{
	*reader = (struct tar_reader){.fd = fd};
}

static int read_all(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	ssize_t n = fd_read_full(reader->fd, to, length);

	if (n < 0)
		return err_code(err, (int)-n, "reading the tar stream");
	if ((size_t)n < length)
		return err_set(err, EPROTO, "the tar stream is cut short");
	return 0;
}

/* Octal text, or GNU's binary form (first byte 0x80). UINT64_MAX: neither. */
static uint64_t number(const char *field, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)field;
	uint64_t value = 0;
	size_t i = 0;

	if (bytes[0] == 0x80) {
		for (i = 1; i < size; i++) {
			if (value >> 55)
				return UINT64_MAX;
			value = value << 8 | bytes[i];
		}
		return value;
	}
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0'); /* 12 digits: 36 bits */
	return i == size || field[i] == '\0' || field[i] == ' ' ? value : UINT64_MAX;
}

static unsigned checksum(const struct ustar *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < sizeof(*header); i++)
		sum += i >= offsetof(struct ustar, checksum) && i < offsetof(struct ustar, type)
			       ? ' '
			       : bytes[i];
	return sum;
}

static bool is_empty(const struct ustar *header)
{
	static const struct ustar none;

	return memcmp(header, &none, sizeof(none)) == 0;
}

/* What has been learnt of the next entry from the headers before its own. */
struct extension {
	char name[PATH_MAX], link[PATH_MAX];
	uint64_t size;
	bool has_size;
};

static int set_path(char to[PATH_MAX], const char *from, size_t length, struct err *err)
{
	if (length >= PATH_MAX || memchr(from, '\0', length))
		return err_set(err, EPROTO, "the tar stream has a name that is too long or broken");
	memcpy(to, from, length);
	to[length] = '\0';
	return 0;
}

/* One record of pax: "LENGTH KEY=VALUE\n". */
static int pax_record(struct extension *extension, char *key, size_t length, struct err *err)
{
	char *value = memchr(key, '=', length);
	size_t size;

	if (!value || key[length - 1] != '\n')
		return err_set(err, EPROTO, "the tar stream has a broken pax record");
	*value++ = '\0';
	size = length - 1 - (size_t)(value - key);
	value[size] = '\0';
	if (strcmp(key, "path") == 0)
		return set_path(extension->name, value, size, err);
	if (strcmp(key, "linkpath") == 0)
		return set_path(extension->link, value, size, err);
	if (strcmp(key, "size") == 0) {
		if (size == 0 || size > 18 || strspn(value, "0123456789") != size)
			return err_set(err, EPROTO, "the tar stream has a broken size");
		extension->size = strtoull(value, NULL, 10);
		extension->has_size = true;
	}
	return 0;
}

static int pax_records(struct extension *extension, char *text, size_t length, struct err *err)
{
	size_t at = 0, digits;
	unsigned long record;
	int ret = 0;

	while (at < length && ret == 0) {
		digits = strspn(text + at, "0123456789");
		record = digits > 0 && digits < 8 ? strtoul(text + at, NULL, 10) : 0;
		if (text[at + digits] != ' ' || record <= digits + 1 || record > length - at)
			return err_set(err, EPROTO, "the tar stream has a broken pax record");
		ret = pax_record(extension, text + at + digits + 1, record - digits - 1, err);
		at += record;
	}
	return ret;
}

/* The contents of a header that belongs to the next entry. */
static int read_extension(struct tar_reader *reader, char type, uint64_t size,
			  struct extension *extension, struct err *err)
{
	char *text;
	int ret;

	if (size > EXTENSION_MAX)
		return err_set(err, EPROTO, "the tar stream has a header of %llu bytes",
			       (unsigned long long)size);
	text = calloc(1, EXTENSION_MAX + TAR_BLOCK + 1);
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	ret = read_all(reader, text, align_up(size, TAR_BLOCK), err);
	text[size] = '\0';
	if (ret == 0 && type == 'x')
		ret = pax_records(extension, text, size, err);
	else if (ret == 0 && type == 'L')
		ret = set_path(extension->name, text, strlen(text), err);
	else if (ret == 0 && type == 'K')
		ret = set_path(extension->link, text, strlen(text), err);
	free(text);
	return ret;
}

static enum tar_type to_type(char type)
{
	switch (type) {
	case '\0':
	case '7':
		return TAR_FILE;
	case TAR_FILE:
	case TAR_LINK:
	case TAR_SYMLINK:
	case TAR_FOLDER:
		return (enum tar_type)type;
	default:
		return TAR_OTHER;
	}
}

static int fill_entry(struct tar_entry *entry, const struct ustar *header,
		      const struct extension *extension, struct err *err)
{
	uint64_t mtime = number(header->mtime, sizeof(header->mtime));
	int prefix = memcmp(header->magic, "ustar", 6) == 0
			     ? (int)strnlen(header->prefix, sizeof(header->prefix))
			     : 0;

	entry->type = to_type(header->type);
	entry->mode = (mode_t)number(header->mode, sizeof(header->mode)) & 0777;
	entry->mtime = mtime <= INT32_MAX ? (int64_t)mtime : 0;
	if (extension->name[0])
		memcpy(entry->name, extension->name, sizeof(entry->name));
	else
		snprintf(entry->name, sizeof(entry->name), "%.*s%s%.*s", prefix, header->prefix,
			 prefix ? "/" : "", (int)sizeof(header->name), header->name);
	if (extension->link[0])
		memcpy(entry->link, extension->link, sizeof(entry->link));
	else
		snprintf(entry->link, sizeof(entry->link), "%.*s", (int)sizeof(header->link),
			 header->link);
	if (!entry->name[0])
		return err_set(err, EPROTO, "the tar stream has an entry without a name");
	return 0;
}

static int skip_contents(struct tar_reader *reader, struct err *err)
{
	uint8_t scrap[4096];
	uint64_t left = reader->left + reader->padding;
	size_t part;
	int ret = 0;

	while (left > 0 && ret == 0) {
		part = min_u64(left, sizeof(scrap));
		ret = read_all(reader, scrap, part, err);
		left -= part;
	}
	reader->left = reader->padding = 0;
	return ret;
}

static int read_header(struct tar_reader *reader, struct ustar *header, uint64_t *size,
		       struct err *err)
{
	int ret = read_all(reader, header, sizeof(*header), err);

	if (ret < 0)
		return ret;
	if (is_empty(header)) {
		reader->ended = true;
		return 0;
	}
	if (number(header->checksum, sizeof(header->checksum)) != checksum(header))
		return err_set(err, EPROTO, "the tar stream has a damaged header");
	*size = number(header->size, sizeof(header->size));
	if (*size > INT64_MAX - TAR_BLOCK)
		return err_set(err, EPROTO, "the tar stream has a broken size");
	return 1;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err)
{
	struct extension extension = {.name = ""};
	struct ustar header;
	uint64_t size = 0;
	int ret;

	if (reader->ended)
		return 0;
	ret = skip_contents(reader, err);
	while (ret == 0) {
		ret = read_header(reader, &header, &size, err);
		if (ret <= 0)
			return ret;
		if (!strchr("xgLK", header.type) || header.type == '\0')
			break;
		ret = read_extension(reader, header.type, size, &extension, err);
	}
	if (ret < 0)
		return ret;
	if (extension.has_size)
		size = extension.size;
	ret = fill_entry(entry, &header, &extension, err);
	if (ret < 0)
		return ret;
	/* Only files have contents; of others some writers note a size all the same. */
	entry->size = entry->type == TAR_FILE ? size : 0;
	if (entry->type == TAR_OTHER)
		reader->left = size;
	else
		reader->left = entry->size;
	reader->padding = align_up(reader->left, TAR_BLOCK) - reader->left;
	return 1;
}

ssize_t tar_read(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	size_t part = min_u64(reader->left, length);
	int ret = read_all(reader, to, part, err);

	if (ret < 0)
		return ret;
	reader->left -= part;
	return (ssize_t)part;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_number(char *field, size_t size, uint64_t value)
{
	size_t i;

	if (value >> (3 * (size - 1)) == 0) {
		snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)value);
		return;
	}
	for (i = size - 1; i > 0; i--, value >>= 8)
		field[i] = (char)(value & 0xff);
	field[0] = (char)0x80;
}

static int write_header(int fd, const char *name, const char *link, char type, mode_t mode,
			uint64_t size, int64_t mtime)
{
	struct ustar header = {.type = type, .magic = "ustar", .version = {'0', '0'}};

	memcpy(header.name, name, strnlen(name, sizeof(header.name)));
	memcpy(header.link, link, strnlen(link, sizeof(header.link)));
	put_number(header.mode, sizeof(header.mode), mode & 0777);
	put_number(header.uid, sizeof(header.uid), 0);
	put_number(header.gid, sizeof(header.gid), 0);
	put_number(header.size, sizeof(header.size), size);
	put_number(header.mtime, sizeof(header.mtime), mtime > 0 ? (uint64_t)mtime : 0);
	snprintf(header.checksum, sizeof(header.checksum) - 1, "%06o", checksum(&header));
	header.checksum[7] = ' ';
	return fd_write_full(fd, &header, sizeof(header));
}

/* A name that does not fit its field comes before the entry, as GNU tar and busybox have it. */
static int write_long(int fd, char type, const char *text)
{
	size_t length = strlen(text) + 1;
	int ret = write_header(fd, "././@LongLink", "", type, 0644, length, 0);

	if (ret == 0)
		ret = fd_write_full(fd, text, length);
	return ret == 0 ? tar_write_padding(fd, length) : ret;
}

int tar_write_entry(int fd, const struct tar_entry *entry)
{
	int ret = 0;

	if (strlen(entry->link) > sizeof(((struct ustar *)0)->link))
		ret = write_long(fd, 'K', entry->link);
	if (ret == 0 && strlen(entry->name) > sizeof(((struct ustar *)0)->name))
		ret = write_long(fd, 'L', entry->name);
	if (ret == 0)
		ret = write_header(fd, entry->name, entry->link, (char)entry->type, entry->mode,
				   entry->size, entry->mtime);
	return ret;
}

int tar_write_padding(int fd, uint64_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	return fd_write_full(fd, zeros, align_up(size, TAR_BLOCK) - size);
}

int tar_write_end(int fd)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	return fd_write_full(fd, zeros, sizeof(zeros));
}
