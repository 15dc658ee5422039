/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/image/ustar.h"

/* Bytes of a header that extends the next entry (a long name, pax records). */
#define EXTENSION_MAX KIB(64)

void tar_reader_init(struct tar_reader *reader, int fd)
{
	*reader = (struct tar_reader){.fd = fd};
}

void tar_reader_init_input(struct tar_reader *reader, const struct tar_input *input)
{
	*reader = (struct tar_reader){.fd = -1, .input = *input};
}

static int read_all(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	size_t done = 0;
	ssize_t n = 1;

	if (!reader->input.read) {
		n = fd_read_full(reader->fd, to, length);
		if (n < 0)
			return err_code(err, (int)-n, "reading the tar stream");
		done = (size_t)n;
	}
	while (reader->input.read && done < length && n > 0) {
		n = reader->input.read(reader->input.arg, (char *)to + done, length - done, err);
		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	if (done < length)
		return err_set(err, EPROTO, "the tar stream is truncated");
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

static bool is_empty(const struct ustar *header)
{
	static const struct ustar none;

	return memcmp(header, &none, sizeof(none)) == 0;
}

/* Fields of the next entry from the headers before its own. */
struct extension {
	char name[PATH_MAX], link[PATH_MAX];
	uint64_t size;
	uint64_t uid, gid;
	bool has_size, has_uid, has_gid, sparse;
};

static int set_path(char to[PATH_MAX], const char *from, size_t length, struct err *err)
{
	if (length >= PATH_MAX || memchr(from, '\0', length))
		return err_set(err, EPROTO,
			       "the tar stream has a name that is too long or invalid");
	memcpy(to, from, length);
	to[length] = '\0';
	return 0;
}

/* Parses one pax record: "LENGTH KEY=VALUE\n". */
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
	if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0) {
		if (size == 0 || size > 10 || strspn(value, "0123456789") != size)
			return err_set(err, EPROTO, "the tar stream has a broken owner");
		*(key[0] == 'u' ? &extension->uid : &extension->gid) = strtoull(value, NULL, 10);
		*(key[0] == 'u' ? &extension->has_uid : &extension->has_gid) = true;
	}
	if (strncmp(key, "GNU.sparse.", 11) == 0)
		extension->sparse = true;
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

/* Reads a header that extends the next entry. */
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
	case TAR_DIRECTORY:
		return (enum tar_type)type;
	default:
		return TAR_OTHER;
	}
}

/* A number that is not a valid uid or gid becomes 65534, nobody. */
static uint32_t owner(bool given, uint64_t id, const char field[8])
{
	if (!given)
		id = number(field, 8);
	return id < UINT32_MAX ? (uint32_t)id : 65534;
}

static int fill_entry(struct tar_entry *entry, const struct ustar *header,
		      const struct extension *extension, struct err *err)
{
	uint64_t mtime = number(header->mtime, sizeof(header->mtime));
	int prefix = memcmp(header->magic, "ustar", 6) == 0
			     ? (int)strnlen(header->prefix, sizeof(header->prefix))
			     : 0;

	entry->type = to_type(header->type);
	entry->flag = header->type;
	entry->sparse = extension->sparse || header->type == 'S';
	entry->mode = (mode_t)number(header->mode, sizeof(header->mode)) & 07777;
	entry->set_bits = entry->mode & 07000;
	entry->mode &= 0777;
	entry->uid = owner(extension->has_uid, extension->uid, header->uid);
	entry->gid = owner(extension->has_gid, extension->gid, header->gid);
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

	if (reader->input.skip && left > 0) {
		ret = reader->input.skip(reader->input.arg, left, err);
		left = 0;
	}
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
	if (number(header->checksum, sizeof(header->checksum)) != ustar_checksum(header))
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
	/* Only files have contents, but some tools write a size for other types, too. */
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
