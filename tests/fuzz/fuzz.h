/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. An input is a script, read as numbers until it ends (after that all
 * are 0). Targets build something valid first and let the script break it, one thing at a time:
 * purely random bytes would fail the first check.
 */
#ifndef CORDON_TEST_FUZZ_H
#define CORDON_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_script {
	const uint8_t *at;
	size_t left;
};

static inline bool fuzz_ended(const struct fuzz_script *script)
{
	return script->left == 0;
}

static inline uint64_t fuzz_number(struct fuzz_script *script, unsigned bytes)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < bytes && script->left > 0; i++, script->at++, script->left--)
		value |= (uint64_t)*script->at << (8 * i);
	return value;
}

/* A number below limit (limit: at most 256). */
static inline unsigned fuzz_below(struct fuzz_script *script, unsigned limit)
{
	return (unsigned)fuzz_number(script, 1) % limit;
}

/*
 * True about once in n times, for what should be broken rarely: the highest 256 / n values of a
 * byte, so never after the script's end.
 */
static inline bool fuzz_rarely(struct fuzz_script *script, unsigned n)
{
	return fuzz_number(script, 1) >= 256 - 256 / n;
}

/* A promise of the code under test that does not hold is as fatal as a memory error. */
#define FUZZ_REQUIRE(condition)                                                            \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: promise broken: %s\n", __FILE__, __LINE__, \
				#condition);                                               \
			abort();                                                           \
		}                                                                          \
	} while (0)

#endif
