/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/audit_hash.h"

#include <nettle/sha2.h>
#include <stdint.h>

void audit_hash(const char before[AUDIT_HASH + 1], const char *text, size_t length,
		char after[AUDIT_HASH + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx state;
	size_t i;

	sha256_init(&state);
	sha256_update(&state, AUDIT_HASH, (const uint8_t *)before);
	sha256_update(&state, length, (const uint8_t *)text);
	sha256_digest(&state, sizeof(digest), digest);
	for (i = 0; i < sizeof(digest); i++) {
		after[2 * i] = digits[digest[i] >> 4];
		after[2 * i + 1] = digits[digest[i] & 15];
	}
	after[AUDIT_HASH] = '\0';
}
