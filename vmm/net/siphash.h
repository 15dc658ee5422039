/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash with a secret key, for tables whose keys a
 * guest chooses. Without the secret it cannot make entries collide.
 */
#ifndef CORDON_NET_SIPHASH_H
#define CORDON_NET_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t word[2];
};

/* Fills in a random key. 0 or -errno. */
int siphash_key_random(struct siphash_key *key);

uint64_t siphash(const struct siphash_key *key, const void *data, size_t length);

#endif
