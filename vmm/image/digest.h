/* SPDX-License-Identifier: Apache-2.0 */
/* Content digests as in OCI: "sha256:" and 64 lower-case hexadecimal digits. */
#ifndef CORDON_IMAGE_DIGEST_H
#define CORDON_IMAGE_DIGEST_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>

#define DIGEST_HEX 64 /* digits */

struct digest {
	char hex[DIGEST_HEX + 1]; /* "": none */
};

/* Parses "sha256:..."; false if it is anything else, such as another algorithm. */
bool digest_parse(struct digest *digest, const char *text);

/* Parses 64 digits alone. */
bool digest_parse_hex(struct digest *digest, const char *text, size_t length);

/* Ends a computation. */
void digest_finish(struct digest *digest, struct sha256_ctx *context);

void digest_of(struct digest *digest, const void *bytes, size_t length);

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	size_t i;

	for (i = 0; i < DIGEST_HEX && a->hex[i] == b->hex[i]; i++)
		;
	return i == DIGEST_HEX;
}

#endif
