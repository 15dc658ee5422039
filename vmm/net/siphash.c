/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/siphash.h"

#include <errno.h>
#include <sys/random.h>

#include "vmm/base/bytes.h"

int siphash_key_random(struct siphash_key *key)
{
	ssize_t got;

	/* getrandom() returns so few bytes whole, but a signal can interrupt it. */
	do {
		got = getrandom(key->word, sizeof(key->word), 0);
	} while (got < 0 && errno == EINTR);
	if (got == (ssize_t)sizeof(key->word))
		return 0;
	return got < 0 ? -errno : -EIO;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static void rounds(uint64_t v[4], unsigned count)
{
	for (; count > 0; count--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t length)
{
	/* The constants spell "somepseudorandomlygeneratedbytes". */
	uint64_t v[4] = {
		key->word[0] ^ UINT64_C(0x736f6d6570736575),
		key->word[1] ^ UINT64_C(0x646f72616e646f6d),
		key->word[0] ^ UINT64_C(0x6c7967656e657261),
		key->word[1] ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *at = data;
	uint64_t word, last = (uint64_t)length << 56;
	size_t left = length;

	for (; left >= 8; at += 8, left -= 8) {
		word = load_le64(at);
		v[3] ^= word;
		rounds(v, 2);
		v[0] ^= word;
	}
	for (; left > 0; left--)
		last |= (uint64_t)at[left - 1] << (8 * (left - 1));
	v[3] ^= last;
	rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
