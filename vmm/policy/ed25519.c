/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/ed25519.h"

#include <nettle/eddsa.h>
#include <nettle/version.h>
#include <pthread.h>

#include "vmm/base/bytes.h"
#include "vmm/base/library.h"

/* The soname and the functions' types belong together. */
_Static_assert(NETTLE_VERSION_MAJOR == 3,
	       "libhogweed of this nettle has another soname: change LIBRARY");
#define LIBRARY "libhogweed.so.6"
#define PACKAGE "libhogweed6"

static struct {
	__typeof__(&ed25519_sha512_public_key) public_key;
	__typeof__(&ed25519_sha512_sign) sign;
	__typeof__(&ed25519_sha512_verify) verify;
	struct err why;
	int ret;
} library;

static void load(void)
{
	const struct library_symbol symbol[] = {
		{"nettle_ed25519_sha512_public_key", (void **)&library.public_key},
		{"nettle_ed25519_sha512_sign", (void **)&library.sign},
		{"nettle_ed25519_sha512_verify", (void **)&library.verify},
	};

	library.ret = library_load(LIBRARY, PACKAGE, symbol, ARRAY_SIZE(symbol), &library.why);
}

int ed25519_load(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	if (library.ret < 0 && err)
		*err = library.why;
	return library.ret;
}

void ed25519_public_key(uint8_t public[ED25519_KEY_BYTES], const uint8_t seed[ED25519_KEY_BYTES])
{
	library.public_key(public, seed);
}

void ed25519_sign(const uint8_t public[ED25519_KEY_BYTES], const uint8_t seed[ED25519_KEY_BYTES],
		  const void *message, size_t length, uint8_t signature[ED25519_SIGNATURE_BYTES])
{
	library.sign(public, seed, length, message, signature);
}

bool ed25519_verify(const uint8_t public[ED25519_KEY_BYTES], const void *message, size_t length,
		    const uint8_t signature[ED25519_SIGNATURE_BYTES])
{
	return library.verify(public, length, message, signature);
}
