/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: unaligned loads and stores in a fixed byte order, arithmetic that reports overflow, and
 * the few macros that everything uses.
 */
#ifndef CORDON_BASE_BYTES_H
#define CORDON_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define CORDON_BYTES_ACCESSORS(bits)                                      \
	static inline uint##bits##_t load_le##bits(const void *from)      \
	{                                                                 \
		uint##bits##_t value;                                     \
                                                                          \
		memcpy(&value, from, sizeof(value));                      \
		return le##bits##toh(value);                              \
	}                                                                 \
	static inline void store_le##bits(void *to, uint##bits##_t value) \
	{                                                                 \
		value = htole##bits(value);                               \
		memcpy(to, &value, sizeof(value));                        \
	}                                                                 \
	static inline uint##bits##_t load_be##bits(const void *from)      \
	{                                                                 \
		uint##bits##_t value;                                     \
                                                                          \
		memcpy(&value, from, sizeof(value));                      \
		return be##bits##toh(value);                              \
	}                                                                 \
	static inline void store_be##bits(void *to, uint##bits##_t value) \
	{                                                                 \
		value = htobe##bits(value);                               \
		memcpy(to, &value, sizeof(value));                        \
	}

CORDON_BYTES_ACCESSORS(16)
CORDON_BYTES_ACCESSORS(32)
CORDON_BYTES_ACCESSORS(64)

#undef CORDON_BYTES_ACCESSORS

/* True if the result does not fit; *out is then meaningless. Any integer types. */
#define add_overflows(a, b, out) __builtin_add_overflow((a), (b), (out))
#define mul_overflows(a, b, out) __builtin_mul_overflow((a), (b), (out))

/* Whether [offset, offset + length) lies within [0, size), without overflow. */
static inline bool range_within(uint64_t offset, uint64_t length, uint64_t size)
{
	return length <= size && offset <= size - length;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline bool is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Rounds up to a multiple of align (a power of two). The caller makes sure that it can't overflow.
 */
static inline uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

#endif
