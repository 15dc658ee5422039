/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/image/tar_internal.h"

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

/* Reads up to length bytes, fewer only at the stream's end; -errno with a message. */
static ssize_t read_most(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	size_t done = 0;
	ssize_t n = 1;

	if (!reader->input.read) {
		n = fd_read_full(reader->fd, to, length);
		return n < 0 ? err_code(err, (int)-n, "reading the tar stream") : n;
	}
	while (done < length && n > 0) {
		n = reader->input.read(reader->input.arg, (char *)to + done, length - done, err);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int tar_read_all(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	ssize_t n = read_most(reader, to, length, err);

	if (n < 0)
		return (int)n;
	return (size_t)n < length ? err_set(err, EPROTO, "the tar stream is truncated") : 0;
}

uint64_t tar_number(const char *field, size_t size)
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

/* Reads a header that extends the next entry. */
static int read_extension(struct tar_reader *reader, char type, uint64_t size,
			  struct tar_extension *extension, struct err *err)
{
	char *text;
	int ret;

	if (size > EXTENSION_MAX)
		return err_set(err, EPROTO, "the tar stream has a header of %llu bytes",
			       (unsigned long long)size);
	text = calloc(1, EXTENSION_MAX + TAR_BLOCK + 1);
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	ret = tar_read_all(reader, text, align_up(size, TAR_BLOCK), err);
	text[size] = '\0';
	if (ret == 0 && type == 'x')
		ret = tar_pax_records(extension, text, size, err);
	else if (ret == 0 && type == 'L')
		ret = tar_set_path(extension->name, text, strlen(text), err);
	else if (ret == 0 && type == 'K')
		ret = tar_set_path(extension->link, text, strlen(text), err);
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
		id = tar_number(field, 8);
	return id < UINT32_MAX ? (uint32_t)id : 65534;
}

static uint32_t device_part(const char field[8])
{
	uint64_t value = tar_number(field, 8);

	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static int fill_entry(struct tar_entry *entry, const struct ustar *header,
		      const struct tar_extension *extension, struct err *err)
{
	uint64_t mtime = tar_number(header->mtime, sizeof(header->mtime));
	int prefix = memcmp(header->magic, "ustar", 6) == 0
			     ? (int)strnlen(header->prefix, sizeof(header->prefix))
			     : 0;

	entry->type = to_type(header->type);
	entry->flag = header->type;
	entry->sparse = extension->sparse || header->type == 'S';
	entry->mode = (mode_t)tar_number(header->mode, sizeof(header->mode)) & 07777;
	entry->set_bits = entry->mode & 07000;
	entry->mode &= 0777;
	entry->uid = owner(extension->has_uid, extension->uid, header->uid);
	entry->gid = owner(extension->has_gid, extension->gid, header->gid);
	entry->mtime = mtime <= INT32_MAX ? (int64_t)mtime : 0;
	entry->mtime_nsec = 0;
	if (extension->has_mtime) {
		entry->mtime = extension->mtime;
		entry->mtime_nsec = extension->mtime_nsec;
	}
	entry->major = device_part(header->major);
	entry->minor = device_part(header->minor);
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
	uint64_t left = reader->left;
	size_t part;
	ssize_t n;
	int ret = 0;

	if (reader->input.skip && left > 0) {
		ret = reader->input.skip(reader->input.arg, left, err);
		left = 0;
	}
	while (left > 0 && ret == 0) {
		part = min_u64(left, sizeof(scrap));
		ret = tar_read_all(reader, scrap, part, err);
		left -= part;
	}
	if (ret == 0 && reader->end_optional) {
		n = read_most(reader, scrap, reader->padding, err);
		ret = n < 0 ? (int)n : 0;
	} else if (ret == 0) {
		ret = tar_read_all(reader, scrap, reader->padding, err);
	}
	reader->left = reader->padding = 0;
	return ret;
}

/* may_end: whether the stream may end here, without an empty block. 1; 0 at the end. */
static int read_header(struct tar_reader *reader, struct ustar *header, uint64_t *size,
		       bool may_end, struct err *err)
{
	ssize_t n = read_most(reader, header, sizeof(*header), err);

	if (n < 0)
		return (int)n;
	if (n == 0 && may_end) {
		reader->ended = true;
		return 0;
	}
	if (n < (ssize_t)sizeof(*header))
		return err_set(err, EPROTO, "the tar stream is truncated");
	if (is_empty(header)) {
		reader->ended = true;
		return 0;
	}
	if (tar_number(header->checksum, sizeof(header->checksum)) != ustar_checksum(header))
		return err_set(err, EPROTO, "the tar stream has a damaged header");
	*size = tar_number(header->size, sizeof(header->size));
	if (*size > INT64_MAX - TAR_BLOCK)
		return err_set(err, EPROTO, "the tar stream has a broken size");
	return 1;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err)
{
	struct tar_extension extension = {
		.name = "",
		.attributes = reader->attributes,
		.map = reader->sparse,
	};
	bool may_end = reader->end_optional;
	struct ustar header;
	uint64_t size = 0;
	int ret;

	if (reader->ended)
		return 0;
	reader->has_holes = false;
	if (reader->attributes)
		reader->attributes->count = reader->attributes->used = 0;
	if (reader->sparse)
		reader->sparse->count = 0;
	ret = skip_contents(reader, err);
	while (ret == 0) {
		ret = read_header(reader, &header, &size, may_end, err);
		if (ret <= 0)
			return ret;
		if (!strchr("xgLK", header.type) || header.type == '\0')
			break;
		ret = read_extension(reader, header.type, size, &extension, err);
		may_end &= header.type == 'g'; /* the others belong to an entry */
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
	entry->holes = 0;
	if (entry->type == TAR_OTHER)
		reader->left = size;
	else
		reader->left = entry->size;
	reader->padding = align_up(reader->left, TAR_BLOCK) - reader->left;
	if (entry->sparse && reader->sparse) {
		ret = tar_sparse_begin(reader, entry, &header, &extension, size, err);
		return ret < 0 ? ret : 1;
	}
	return 1;
}

ssize_t tar_read(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	size_t part = min_u64(reader->left, length);
	int ret;

	if (reader->has_holes)
		return tar_sparse_read(reader, to, length, err);
	ret = tar_read_all(reader, to, part, err);
	if (ret < 0)
		return ret;
	reader->left -= part;
	return (ssize_t)part;
}
