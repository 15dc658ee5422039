/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse files in tar streams, as GNU tar writes them (its manual: "Storing Sparse Files"). */
#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/image/tar_internal.h"

#define NUMBER_DIGITS 18 /* of sizes, as elsewhere in the stream */

static int broken(struct err *err)
{
	return err_set(err, EPROTO, "the tar stream has a broken map of a sparse file");
}

static int too_long(struct err *err)
{
	return err_set(err, E2BIG, "the tar stream has a sparse file with too many regions");
}

static int add_region(struct tar_sparse *map, uint64_t offset, uint64_t length, struct err *err)
{
	if (map->count == TAR_REGIONS_MAX)
		return too_long(err);
	map->regions[map->count++] = (struct tar_region){.offset = offset, .length = length};
	return 0;
}

/* --- pax records (formats 0.0, 0.1 and the head of 1.0) -----------------------------------------
 */

/* 0.0: offset and numbytes, in turns. */
static int add_number(struct tar_extension *extension, bool offset, uint64_t number,
		      struct err *err)
{
	if (offset == extension->has_offset)
		return broken(err);
	extension->has_offset = offset;
	if (offset)
		return add_region(extension->map, number, 0, err);
	extension->map->regions[extension->map->count - 1].length = number;
	return 0;
}

/* 0.1: all numbers, with commas. */
static int add_list(struct tar_extension *extension, const char *value, size_t size,
		    struct err *err)
{
	const char *end = value + size, *comma;
	bool offset = true;
	uint64_t number;
	int ret = 0;

	while (ret == 0 && value < end) {
		comma = memchr(value, ',', (size_t)(end - value));
		comma = comma ? comma : end;
		if (!tar_digits(value, (size_t)(comma - value), NUMBER_DIGITS, &number))
			return broken(err);
		ret = add_number(extension, offset, number, err);
		offset = !offset;
		value = comma + 1;
	}
	return ret == 0 && !offset ? broken(err) : ret;
}

int tar_sparse_record(struct tar_extension *extension, const char *key, const char *value,
		      size_t size, struct err *err)
{
	uint64_t number;

	if (strcmp(key, "name") == 0)
		return tar_set_path(extension->sparse_name, value, size, err);
	if (strcmp(key, "map") == 0)
		return add_list(extension, value, size, err);
	if (!tar_digits(value, size, NUMBER_DIGITS, &number))
		return broken(err);
	if (strcmp(key, "offset") == 0 || strcmp(key, "numbytes") == 0)
		return add_number(extension, key[0] == 'o', number, err);
	if (strcmp(key, "major") == 0)
		extension->sparse_major = number;
	if (strcmp(key, "minor") == 0)
		extension->sparse_minor = number;
	if (strcmp(key, "size") == 0 || strcmp(key, "realsize") == 0) {
		extension->real_size = number;
		extension->has_real_size = true;
	}
	return 0; /* numblocks: the list tells */
}

/* --- the old format -----------------------------------------------------------------------------
 */

/* GNU tar's header has these in place of the prefix. */
#define OLD_MAP	     386
#define OLD_EXTENDED 482 /* another block of the map follows */
#define OLD_SIZE     483
#define OLD_REGIONS  4

/* A further block: regions from its beginning, then the flag. */
#define MORE_REGIONS  21
#define MORE_EXTENDED 504

#define OLD_FIELD 12 /* bytes of a number; a region has two */

static int add_old(struct tar_sparse *map, const char *fields, unsigned count, struct err *err)
{
	uint64_t offset, length;
	unsigned i;
	int ret = 0;

	/* A region that is not used is empty. */
	for (i = 0; i < count && ret == 0 && fields[0]; i++, fields += 2 * OLD_FIELD) {
		offset = tar_number(fields, OLD_FIELD);
		length = tar_number(fields + OLD_FIELD, OLD_FIELD);
		ret = add_region(map, offset, length, err);
	}
	return ret;
}

static int read_old(struct tar_reader *reader, const struct ustar *header, uint64_t *size,
		    struct err *err)
{
	const char *bytes = (const char *)header;
	char block[TAR_BLOCK];
	bool more = bytes[OLD_EXTENDED];
	int ret;

	if (memcmp(header->magic, "ustar ", 6) != 0)
		return broken(err);
	*size = tar_number(bytes + OLD_SIZE, OLD_FIELD);
	ret = add_old(reader->sparse, bytes + OLD_MAP, OLD_REGIONS, err);
	while (ret == 0 && more) {
		ret = tar_read_all(reader, block, sizeof(block), err);
		if (ret == 0 && !block[0])
			ret = broken(err); /* an empty block: or they would have no bound */
		if (ret == 0)
			ret = add_old(reader->sparse, block, MORE_REGIONS, err);
		more = block[MORE_EXTENDED];
	}
	return ret;
}

/* --- format 1.0 ---------------------------------------------------------------------------------
 */

/* The text before the data: lines with a number each, in whole blocks. */
struct lines {
	struct tar_reader *reader;
	char block[TAR_BLOCK];
	size_t at;
};

static int next_line(struct lines *lines, uint64_t *number, struct err *err)
{
	char digits[NUMBER_DIGITS + 1];
	size_t count = 0;
	int ret;

	for (;;) {
		if (lines->at == sizeof(lines->block)) {
			if (lines->reader->left < sizeof(lines->block))
				return broken(err);
			ret = tar_read_all(lines->reader, lines->block, sizeof(lines->block), err);
			if (ret < 0)
				return ret;
			lines->reader->left -= sizeof(lines->block);
			lines->at = 0;
		}
		if (lines->block[lines->at] == '\n')
			break;
		if (count == NUMBER_DIGITS)
			return broken(err);
		digits[count++] = lines->block[lines->at++];
	}
	lines->at++;
	digits[count] = '\0';
	return tar_digits(digits, count, NUMBER_DIGITS, number) ? 0 : broken(err);
}

static int read_lines(struct tar_reader *reader, struct err *err)
{
	struct lines lines = {.reader = reader, .at = TAR_BLOCK};
	uint64_t count, offset, length;
	int ret = next_line(&lines, &count, err);

	if (ret == 0 && count > TAR_REGIONS_MAX)
		return too_long(err);
	for (; ret == 0 && count > 0; count--) {
		ret = next_line(&lines, &offset, err);
		if (ret == 0)
			ret = next_line(&lines, &length, err);
		if (ret == 0)
			ret = add_region(reader->sparse, offset, length, err);
	}
	return ret;
}

/* --- the entry ----------------------------------------------------------------------------------
 */

static int check_map(const struct tar_sparse *map, uint64_t size, uint64_t stored, struct err *err)
{
	uint64_t end = 0, sum = 0;
	unsigned i;

	if (size > INT64_MAX)
		return broken(err);
	for (i = 0; i < map->count; i++) {
		const struct tar_region *region = &map->regions[i];

		if (region->offset < end || !range_within(region->offset, region->length, size))
			return broken(err);
		end = region->offset + region->length;
		sum += region->length;
	}
	return sum == stored ? 0 : broken(err);
}

int tar_sparse_begin(struct tar_reader *reader, struct tar_entry *entry, const struct ustar *header,
		     struct tar_extension *extension, uint64_t stored, struct err *err)
{
	uint64_t size = extension->real_size;
	int ret = 0;

	/* Not yet reader->left, if the type was another one. */
	reader->left = stored;
	reader->padding = align_up(stored, TAR_BLOCK) - stored;
	if (header->type == 'S') {
		if (extension->sparse)
			return broken(err);
		ret = read_old(reader, header, &size, err);
	} else if (entry->type != TAR_FILE || !extension->has_real_size || extension->has_offset) {
		return broken(err);
	} else if (extension->sparse_major == 1 && extension->sparse_minor == 0) {
		reader->sparse->count = 0;
		ret = read_lines(reader, err);
	} else if (extension->sparse_major != 0) {
		return err_set(err, ENOTSUP,
			       "the tar stream has an unknown format of sparse files");
	}
	if (ret == 0)
		ret = check_map(reader->sparse, size, reader->left, err);
	if (ret < 0)
		return ret;
	if (extension->sparse_name[0])
		memcpy(entry->name, extension->sparse_name, sizeof(entry->name));
	entry->type = TAR_FILE;
	entry->size = size;
	entry->holes = size - reader->left;
	reader->has_holes = true;
	reader->size = size;
	reader->position = 0;
	reader->region = 0;
	return 0;
}

/* Where the data that the position is in or before begins; at the end: the size. */
static uint64_t next_data(struct tar_reader *reader)
{
	const struct tar_sparse *map = reader->sparse;
	const struct tar_region *region = &map->regions[reader->region];

	while (reader->region < map->count && region->offset + region->length <= reader->position) {
		reader->region++;
		region++;
	}
	return reader->region < map->count ? region->offset : reader->size;
}

uint64_t tar_skip_hole(struct tar_reader *reader)
{
	uint64_t hole, data;

	if (!reader->has_holes)
		return 0;
	data = next_data(reader);
	hole = data > reader->position ? data - reader->position : 0;
	reader->position += hole;
	return hole;
}

ssize_t tar_sparse_read(struct tar_reader *reader, void *to, size_t length, struct err *err)
{
	uint64_t data = next_data(reader);
	const struct tar_region *region = &reader->sparse->regions[reader->region];
	int ret;

	if (data > reader->position) {
		length = min_u64(length, data - reader->position);
		memset(to, 0, length);
	} else if (reader->position < reader->size) {
		length = min_u64(length, region->offset + region->length - reader->position);
		ret = tar_read_all(reader, to, length, err);
		if (ret < 0)
			return ret;
		reader->left -= length;
	} else {
		length = 0;
	}
	reader->position += length;
	return (ssize_t)length;
}
