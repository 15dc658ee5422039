/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields written one by one into a growing buffer, little-endian, and read back from hostile bytes.
 *
 * Neither side reports an error at every field: a packer that ran out of memory and an unpacker
 * that ran out of bytes remember it, write or read zeros from then on, and are asked once at the
 * end.
 */
#ifndef CORDON_BASE_PACK_H
#define CORDON_BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
	uint8_t *data;
	size_t length, capacity;
	size_t limit; /* of length; 0: there is none */
	bool failed;  /* out of memory, or of the limit */
};

void pack_free(struct pack *pack);
void pack_u8(struct pack *pack, uint8_t value);
void pack_u16(struct pack *pack, uint16_t value);
void pack_u32(struct pack *pack, uint32_t value);
void pack_u64(struct pack *pack, uint64_t value);
void pack_bytes(struct pack *pack, const void *from, size_t length);
/* Its length (2 bytes; the text is shorter than 64 KiB), then the text without its end. */
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
/* As pack_text() wrote it; one that does not fit, or with a zero byte, is a failure and "". */
void unpack_text(struct unpack *unpack, char *to, size_t size);

/* A number that must not exceed limit; else the unpacker has failed and 0 is returned. */
uint32_t unpack_count(struct unpack *unpack, uint32_t limit);

/* Whether everything was read, without a failure and with nothing left over. */
bool unpack_done(const struct unpack *unpack);

#endif
