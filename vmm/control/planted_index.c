/* SPDX-License-Identifier: Apache-2.0 */
/* The format: Documentation/gitformat-index of git. An entry is stat fields, object name, flags,
 * path. */
#include "vmm/control/planted_index.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define HEADER_SIZE  12
#define STAT_SIZE    40
#define SHA1_SIZE    20
#define SHA256_SIZE  32
#define FLAG_MORE    0x4000 /* 2 bytes of flags follow */
#define VERSION_LAST 4

struct cursor {
	const uint8_t *at, *end;
};

static uint32_t be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static bool has_git(const char *path)
{
	size_t length;

	for (;; path += length + 1) {
		length = (size_t)(strchrnul(path, '/') - path);
		if (length == 4 && strncasecmp(path, ".git", 4) == 0)
			return true;
		if (path[length] == '\0')
			return false;
	}
}

/* Version 4: how many bytes to drop from the end of the previous path. */
static bool take_offset(struct cursor *cursor, size_t *offset)
{
	size_t value = 0;
	uint8_t byte;

	do {
		if (cursor->at == cursor->end || value > PATH_MAX)
			return false;
		byte = *cursor->at++;
		value = value << 7 | (byte & 0x7f);
		if (byte & 0x80)
			value++;
	} while (byte & 0x80);
	*offset = value;
	return true;
}

/* Reads an entry. path: in, the path of the previous entry; out, that of this one. */
static bool take_entry(struct cursor *cursor, unsigned version, size_t object, char path[PATH_MAX])
{
	const uint8_t *begin = cursor->at, *end;
	size_t fixed = STAT_SIZE + object + 2, kept = 0, offset = 0, length;

	if ((size_t)(cursor->end - begin) < fixed + 2)
		return false;
	if ((begin[fixed - 2] << 8 | begin[fixed - 1]) & FLAG_MORE)
		fixed += 2;
	cursor->at += fixed;
	if (version == VERSION_LAST) {
		kept = strlen(path);
		if (!take_offset(cursor, &offset) || offset > kept)
			return false;
		kept -= offset;
	}
	end = memchr(cursor->at, '\0', (size_t)(cursor->end - cursor->at));
	if (!end)
		return false;
	length = (size_t)(end - cursor->at);
	if (length > PATH_MAX || kept + length == 0 || kept + length >= PATH_MAX)
		return false;
	memcpy(path + kept, cursor->at, length + 1);
	cursor->at = end + 1;
	if (version < VERSION_LAST) {
		/* Padded with at least one NUL to a multiple of 8. */
		length = (fixed + length + 8) & ~(size_t)7;
		if (length > (size_t)(cursor->end - begin))
			return false;
		cursor->at = begin + length;
	}
	return true;
}

/* Whether an entry names a path in .git. object: bytes of an object name. *whole: all were read. */
static bool names_git(const uint8_t *bytes, size_t length, size_t object, bool *whole)
{
	struct cursor cursor = {bytes + HEADER_SIZE, bytes + length - object};
	uint32_t count = be32(bytes + 8), i;
	char path[PATH_MAX] = "";

	*whole = false;
	for (i = 0; i < count; i++) {
		if (!take_entry(&cursor, be32(bytes + 4), object, path))
			return false;
		if (has_git(path))
			return true;
	}
	*whole = true;
	return false;
}

bool planted_index_is_bad(const void *bytes, size_t length)
{
	bool whole;

	if (length == 0)
		return false;
	if (length < HEADER_SIZE + SHA256_SIZE || memcmp(bytes, "DIRC", 4) != 0 ||
	    be32((const uint8_t *)bytes + 4) < 2 || be32((const uint8_t *)bytes + 4) > VERSION_LAST)
		return length != HEADER_SIZE + SHA1_SIZE || memcmp(bytes, "DIRC", 4) != 0;
	if (names_git(bytes, length, SHA1_SIZE, &whole))
		return true;
	return !whole && (names_git(bytes, length, SHA256_SIZE, &whole) || !whole);
}
