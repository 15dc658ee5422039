/* SPDX-License-Identifier: Apache-2.0 */
/* Extended headers of tar streams: records "LENGTH KEY=VALUE\n" (POSIX.1-2001, pax). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/image/tar_internal.h"

#define DIGITS		 "0123456789"
#define ATTRIBUTE_PREFIX "SCHILY.xattr."
#define SPARSE_PREFIX	 "GNU.sparse."
#define TIME_DIGITS_MAX	 11 /* of seconds: beyond any time that a file system can store */

int tar_set_path(char to[PATH_MAX], const char *from, size_t length, struct err *err)
{
	if (length >= PATH_MAX || memchr(from, '\0', length))
		return err_set(err, EPROTO,
			       "the tar stream has a name that is too long or invalid");
	memcpy(to, from, length);
	to[length] = '\0';
	return 0;
}

bool tar_digits(const char *value, size_t size, size_t most, uint64_t *number)
{
	if (size == 0 || size > most || strspn(value, DIGITS) != size)
		return false;
	*number = strtoull(value, NULL, 10);
	return true;
}

/* "-1.25" is 1.25 seconds before 1970: second -2 and 750 million nanoseconds. */
static int set_time(struct tar_extension *extension, const char *value, size_t size,
		    struct err *err)
{
	bool negative = value[0] == '-';
	const char *whole = value + negative;
	size_t length = strspn(whole, DIGITS), fraction = 0, i;
	uint64_t seconds = 0;
	uint32_t nsec = 0;

	if (whole[length] == '.')
		fraction = 1 + strspn(whole + length + 1, DIGITS);
	if (length == 0 || length > TIME_DIGITS_MAX || negative + length + fraction != size)
		return err_set(err, EPROTO, "the tar stream has a broken time");
	seconds = strtoull(whole, NULL, 10);
	for (i = 1; i <= 9; i++)
		nsec = nsec * 10 + (i < fraction ? (uint32_t)(whole[length + i] - '0') : 0);
	extension->mtime = negative ? -(int64_t)seconds : (int64_t)seconds;
	if (negative && nsec > 0) {
		extension->mtime--;
		nsec = 1000000000 - nsec;
	}
	extension->mtime_nsec = nsec;
	extension->has_mtime = true;
	return 0;
}

static int add_attribute(struct tar_attributes *to, const char *name, const char *value,
			 size_t size, struct err *err)
{
	size_t length = strlen(name);
	struct tar_attribute *found = to->list;

	if (length == 0 || length > TAR_ATTRIBUTE_NAME_MAX)
		return err_set(err, EPROTO, "the tar stream has an attribute with a bad name");
	while (found < to->list + to->count && strcmp(found->name, name) != 0)
		found++;
	if (found == to->list + TAR_ATTRIBUTES_MAX || length + 1 > sizeof(to->bytes) - to->used ||
	    size > sizeof(to->bytes) - to->used - length - 1)
		return err_set(err, E2BIG, "the tar stream has an entry with too many attributes");
	memcpy(to->bytes + to->used, name, length + 1);
	found->name = to->bytes + to->used;
	to->used += length + 1;
	memcpy(to->bytes + to->used, value, size);
	found->value = to->bytes + to->used;
	found->size = size;
	to->used += size;
	if (found == to->list + to->count)
		to->count++;
	return 0;
}

/* value: size bytes and a NUL, not all of them text. */
static int set_field(struct tar_extension *extension, const char *key, const char *value,
		     size_t size, struct err *err)
{
	bool user = strcmp(key, "uid") == 0;

	if (strcmp(key, "path") == 0)
		return tar_set_path(extension->name, value, size, err);
	if (strcmp(key, "linkpath") == 0)
		return tar_set_path(extension->link, value, size, err);
	if (strcmp(key, "mtime") == 0)
		return set_time(extension, value, size, err);
	if (strcmp(key, "size") == 0) {
		if (!tar_digits(value, size, 18, &extension->size))
			return err_set(err, EPROTO, "the tar stream has a broken size");
		extension->has_size = true;
	}
	if (user || strcmp(key, "gid") == 0) {
		if (!tar_digits(value, size, 10, user ? &extension->uid : &extension->gid))
			return err_set(err, EPROTO, "the tar stream has a broken owner");
		*(user ? &extension->has_uid : &extension->has_gid) = true;
	}
	if (extension->attributes && strncmp(key, ATTRIBUTE_PREFIX, strlen(ATTRIBUTE_PREFIX)) == 0)
		return add_attribute(extension->attributes, key + strlen(ATTRIBUTE_PREFIX), value,
				     size, err);
	if (strncmp(key, SPARSE_PREFIX, strlen(SPARSE_PREFIX)) != 0)
		return 0;
	extension->sparse = true;
	return extension->map
		       ? tar_sparse_record(extension, key + strlen(SPARSE_PREFIX), value, size, err)
		       : 0;
}

/* Parses one record after its length: "KEY=VALUE\n". */
static int set_record(struct tar_extension *extension, char *key, size_t length, struct err *err)
{
	char *value = memchr(key, '=', length);
	size_t size;

	if (!value || key[length - 1] != '\n')
		return err_set(err, EPROTO, "the tar stream has a broken pax record");
	*value++ = '\0';
	size = length - 1 - (size_t)(value - key);
	value[size] = '\0';
	return set_field(extension, key, value, size, err);
}

int tar_pax_records(struct tar_extension *extension, char *text, size_t length, struct err *err)
{
	size_t at = 0, count;
	unsigned long record;
	int ret = 0;

	while (at < length && ret == 0) {
		count = strspn(text + at, DIGITS);
		record = count > 0 && count < 8 ? strtoul(text + at, NULL, 10) : 0;
		if (text[at + count] != ' ' || record <= count + 1 || record > length - at)
			return err_set(err, EPROTO, "the tar stream has a broken pax record");
		ret = set_record(extension, text + at + count + 1, record - count - 1, err);
		at += record;
	}
	return ret;
}
