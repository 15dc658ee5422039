/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serialization: fields written one by one into a growing buffer, little-endian, and read back from
 * hostile bytes.
 *
 * Errors are sticky, so that callers check once, at the end: after a failure a packer writes
 * nothing more, and an unpacker returns zeros.
 */
#ifndef CORDON_BASE_PACK_H
#define CORDON_BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
	uint8_t *data;
	size_t length, capacity;
	size_t limit; /* the largest length; 0: no limit */
	bool failed;  /* out of memory, or over the limit */
};

void pack_free(struct pack *pack);
void pack_u8(struct pack *pack, uint8_t value);
void pack_u16(struct pack *pack, uint16_t value);
void pack_u32(struct pack *pack, uint32_t value);
void pack_u64(struct pack *pack, uint64_t value);
void pack_bytes(struct pack *pack, const void *from, size_t length);
/* The length of text in 2 bytes (it must be under 64 KiB), then text without its NUL. */
void pack_text(struct pack *pack, const char *text);

struct unpack {
	const uint8_t *data;
	size_t length, at;
	bool failed; /* read past the end, or a count over its limit */
};

uint8_t unpack_u8(struct unpack *unpack);
uint16_t unpack_u16(struct unpack *unpack);
uint32_t unpack_u32(struct unpack *unpack);
uint64_t unpack_u64(struct unpack *unpack);
void unpack_bytes(struct unpack *unpack, void *to, size_t length);
/* The next length bytes where they lie; NULL after a failure. */
const uint8_t *unpack_skip(struct unpack *unpack, size_t length);

/* Protocols of the network are big-endian: a number of 1 to 4 bytes, and a field behind such a
 * number of bytes that has its length. A field that is not there whole has failed, too. */
uint32_t unpack_be(struct unpack *unpack, unsigned bytes);
struct unpack unpack_field_be(struct unpack *unpack, unsigned length_bytes);
/* Reads what pack_text() wrote. Fails, and returns "", if it does not fit or contains a NUL. */
void unpack_text(struct unpack *unpack, char *to, size_t size);

/* Reads a 32-bit count. Fails, and returns 0, if it exceeds limit. */
uint32_t unpack_count(struct unpack *unpack, uint32_t limit);

/* Whether all bytes were read without a failure. */
bool unpack_done(const struct unpack *unpack);

/* How many bytes follow. */
static inline size_t unpack_left(const struct unpack *unpack)
{
	return unpack->length - unpack->at;
}

#endif
