/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032) of libhogweed, which is loaded when the first key is used. */
#ifndef CORDON_POLICY_ED25519_H
#define CORDON_POLICY_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define ED25519_KEY_BYTES	32
#define ED25519_SIGNATURE_BYTES 64

/* Loads the library, once for all threads. 0 or -ENOENT with a message. */
int ed25519_load(struct err *err);

/* The rest is for after a load that succeeded. */
void ed25519_public_key(uint8_t public[ED25519_KEY_BYTES], const uint8_t seed[ED25519_KEY_BYTES]);
void ed25519_sign(const uint8_t public[ED25519_KEY_BYTES], const uint8_t seed[ED25519_KEY_BYTES],
		  const void *message, size_t length, uint8_t signature[ED25519_SIGNATURE_BYTES]);

/* Whether the signature is right. */
bool ed25519_verify(const uint8_t public[ED25519_KEY_BYTES], const void *message, size_t length,
		    const uint8_t signature[ED25519_SIGNATURE_BYTES]);

#endif
