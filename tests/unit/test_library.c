/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/library.h"

#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/ed25519.h"

static double (*cosine)(double), (*other)(double);

static const struct library_symbol good[] = {{"cos", (void **)&cosine}};
static const struct library_symbol bad[] = {{"cos", (void **)&cosine},
					    {"no_such_function", (void **)&other}};

START_TEST(a_library_is_loaded)
{
	struct err err = {""};

	ck_assert_int_eq(library_load("libm.so.6", "libc6", good, 1, &err), 0);
	ck_assert_ptr_nonnull(cosine);
	ck_assert(cosine(0) > 0.99);
}
END_TEST

START_TEST(a_missing_library_names_its_package)
{
	struct err err = {""};

	cosine = other;
	ck_assert_int_eq(library_load("libno-such.so.1", "libno-such1", good, 1, &err), -ENOENT);
	ck_assert_str_eq(err.text,
			 "libno-such.so.1 is not installed: Debian has it in libno-such1");
	ck_assert_ptr_null(cosine);
}
END_TEST

START_TEST(a_library_without_a_function_is_refused)
{
	struct err err = {""};

	ck_assert_int_eq(library_load("libm.so.6", "libc6", bad, 2, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "no_such_function"));
	ck_assert_ptr_null(cosine);
	ck_assert_ptr_null(other);
}
END_TEST

/* The first test vector of RFC 8032, 7.1. */
START_TEST(signatures_of_the_standard)
{
	static const uint8_t seed[ED25519_KEY_BYTES] = {
		0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
		0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
		0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
	static const uint8_t begin[4] = {0xd7, 0x5a, 0x98, 0x01},
			     sign[4] = {0xe5, 0x56, 0x43, 0x00};
	uint8_t public[ED25519_KEY_BYTES], signature[ED25519_SIGNATURE_BYTES];
	struct err err = {""};

	ck_assert_msg(ed25519_load(&err) == 0, "%s", err.text);
	ed25519_public_key(public, seed);
	ck_assert_mem_eq(public, begin, sizeof(begin));
	ed25519_sign(public, seed, "", 0, signature);
	ck_assert_mem_eq(signature, sign, sizeof(sign));
	ck_assert(ed25519_verify(public, "", 0, signature));
	ck_assert(!ed25519_verify(public, "x", 1, signature));
}
END_TEST

UNIT_MAIN("library", a_library_is_loaded, a_missing_library_names_its_package,
	  a_library_without_a_function_is_refused, signatures_of_the_standard)
