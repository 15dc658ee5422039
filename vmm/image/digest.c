/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/digest.h"

#include <stdint.h>
#include <string.h>

bool digest_parse_hex(struct digest *digest, const char *text, size_t length)
{
	size_t i;

	if (length != DIGEST_HEX)
		return false;
	for (i = 0; i < DIGEST_HEX; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	memcpy(digest->hex, text, DIGEST_HEX);
	digest->hex[DIGEST_HEX] = '\0';
	return true;
}

bool digest_parse(struct digest *digest, const char *text)
{
	static const char algorithm[] = "sha256:";
	size_t length = sizeof(algorithm) - 1;

	return strncmp(text, algorithm, length) == 0 &&
	       digest_parse_hex(digest, text + length, strlen(text + length));
}

void digest_finish(struct digest *digest, struct sha256_ctx *context)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[SHA256_DIGEST_SIZE];
	size_t i;

	sha256_digest(context, sizeof(bytes), bytes);
	for (i = 0; i < sizeof(bytes); i++) {
		digest->hex[2 * i] = digits[bytes[i] >> 4];
		digest->hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	digest->hex[DIGEST_HEX] = '\0';
}

void digest_of(struct digest *digest, const void *bytes, size_t length)
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, length, bytes);
	digest_finish(digest, &context);
}
