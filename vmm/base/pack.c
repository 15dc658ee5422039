/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/pack.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define PACK_FIRST 1024

void pack_free(struct pack *pack)
{
	free(pack->data);
	*pack = (struct pack){.data = NULL};
}

/* Appends length bytes for the caller to fill in. NULL after a failure. */
static uint8_t *pack_reserve(struct pack *pack, size_t length)
{
	size_t wanted, capacity = pack->capacity ? pack->capacity : PACK_FIRST;
	uint8_t *data;

	if (pack->failed)
		return NULL;
	if (add_overflows(pack->length, length, &wanted) || (pack->limit && wanted > pack->limit))
		goto fail;
	while (capacity < wanted)
		if (mul_overflows(capacity, (size_t)2, &capacity))
			goto fail;
	if (capacity != pack->capacity) {
		data = realloc(pack->data, capacity);
		if (!data)
			goto fail;
		pack->data = data;
		pack->capacity = capacity;
	}
	data = pack->data + pack->length;
	pack->length = wanted;
	return data;
fail:
	pack->failed = true;
	return NULL;
}

void pack_bytes(struct pack *pack, const void *from, size_t length)
{
	uint8_t *to = pack_reserve(pack, length);

	if (to && length > 0)
		memcpy(to, from, length);
}

void pack_u8(struct pack *pack, uint8_t value)
{
	pack_bytes(pack, &value, sizeof(value));
}

void pack_u16(struct pack *pack, uint16_t value)
{
	uint8_t *to = pack_reserve(pack, sizeof(value));

	if (to)
		store_le16(to, value);
}

void pack_u32(struct pack *pack, uint32_t value)
{
	uint8_t *to = pack_reserve(pack, sizeof(value));

	if (to)
		store_le32(to, value);
}

void pack_u64(struct pack *pack, uint64_t value)
{
	uint8_t *to = pack_reserve(pack, sizeof(value));

	if (to)
		store_le64(to, value);
}

const uint8_t *unpack_skip(struct unpack *unpack, size_t length)
{
	const uint8_t *from;

	if (unpack->failed || !range_within(unpack->at, length, unpack->length)) {
		unpack->failed = true;
		return NULL;
	}
	from = unpack->data + unpack->at;
	unpack->at += length;
	return from;
}

uint8_t unpack_u8(struct unpack *unpack)
{
	const uint8_t *from = unpack_skip(unpack, 1);

	return from ? *from : 0;
}

uint16_t unpack_u16(struct unpack *unpack)
{
	const uint8_t *from = unpack_skip(unpack, 2);

	return from ? load_le16(from) : 0;
}

uint32_t unpack_u32(struct unpack *unpack)
{
	const uint8_t *from = unpack_skip(unpack, 4);

	return from ? load_le32(from) : 0;
}

uint64_t unpack_u64(struct unpack *unpack)
{
	const uint8_t *from = unpack_skip(unpack, 8);

	return from ? load_le64(from) : 0;
}

void unpack_bytes(struct unpack *unpack, void *to, size_t length)
{
	const uint8_t *from = unpack_skip(unpack, length);

	if (length == 0)
		return;
	if (from)
		memcpy(to, from, length);
	else
		memset(to, 0, length);
}

uint32_t unpack_be(struct unpack *unpack, unsigned bytes)
{
	const uint8_t *from = unpack_skip(unpack, bytes);
	uint32_t value = 0;
	unsigned i;

	for (i = 0; from && i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

struct unpack unpack_field_be(struct unpack *unpack, unsigned length_bytes)
{
	uint32_t length = unpack_be(unpack, length_bytes);
	const uint8_t *from = unpack_skip(unpack, length);

	return (struct unpack){.data = from, .length = from ? length : 0, .failed = !from};
}

uint32_t unpack_count(struct unpack *unpack, uint32_t limit)
{
	uint32_t count = unpack_u32(unpack);

	if (count > limit) {
		unpack->failed = true;
		return 0;
	}
	return count;
}

bool unpack_done(const struct unpack *unpack)
{
	return !unpack->failed && unpack->at == unpack->length;
}

void pack_text(struct pack *pack, const char *text)
{
	pack_u16(pack, (uint16_t)strlen(text));
	pack_bytes(pack, text, strlen(text));
}

void unpack_text(struct unpack *unpack, char *to, size_t size)
{
	size_t length = unpack_u16(unpack);

	to[0] = '\0';
	if (length >= size)
		unpack->failed = true;
	if (unpack->failed)
		return;
	unpack_bytes(unpack, to, length);
	to[length] = '\0';
	if (unpack->failed || memchr(to, '\0', length)) {
		unpack->failed = true;
		to[0] = '\0';
	}
}
