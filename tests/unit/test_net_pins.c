/* SPDX-License-Identifier: Apache-2.0 */
/* The table of pins, the hash of tables that a guest fills, and rates. */
#include <stdio.h>

#include "tests/support/address.h"
#include "tests/support/unit.h"
#include "vmm/base/bucket.h"
#include "vmm/net/dns_pins.h"
#include "vmm/net/siphash.h"

#define SECOND UINT64_C(1000000000)

static struct dns_pins pins;

static void begin(void)
{
	ck_assert_int_eq(dns_pins_init(&pins), 0);
}

static void end(void)
{
	dns_pins_destroy(&pins);
}

/* Pins by number. */
static int pin(const char *name, uint32_t address, uint32_t ttl, uint64_t now_ns)
{
	uint8_t key[PIN_ADDRESS];

	dns_pins_ipv4(address, key);
	return dns_pins_add(&pins, name, key, ttl, now_ns);
}

static bool pinned(const char *name, uint32_t address, uint64_t now_ns)
{
	uint8_t key[PIN_ADDRESS];

	dns_pins_ipv4(address, key);
	return dns_pins_have(&pins, name, key, now_ns);
}

static unsigned names(uint32_t address, uint64_t now_ns, const char *name[PIN_NAMES_MAX])
{
	uint8_t key[PIN_ADDRESS];

	dns_pins_ipv4(address, key);
	return dns_pins_names(&pins, key, now_ns, name);
}

/* The vectors of the SipHash paper: key 00..0f, input 00..0e. */
START_TEST(the_hash_is_siphash)
{
	struct siphash_key key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
	uint8_t input[15];
	unsigned i;

	for (i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)i;
	ck_assert_uint_eq(siphash(&key, input, sizeof(input)), UINT64_C(0xa129ca6149be45e5));
	ck_assert_uint_eq(siphash(&key, input, 0), UINT64_C(0x726fdb47dd0e0e31));
	key.word[0]++;
	ck_assert_uint_ne(siphash(&key, input, sizeof(input)), UINT64_C(0xa129ca6149be45e5));
}
END_TEST

/* --- pins ------------------------------------------------------------------------------------- */

START_TEST(a_pin_opens_its_address_for_its_name_and_time)
{
	const char *name[PIN_NAMES_MAX];
	uint64_t after = 60 * SECOND + PIN_GRACE_NS;

	begin();
	ck_assert_int_eq(pin("a.example.com", 1000, 60, 0), 0);
	ck_assert(pinned("a.example.com", 1000, 0));
	ck_assert(pinned("a.example.com", 1000, after - 1));
	ck_assert(!pinned("a.example.com", 1000, after));
	ck_assert(!pinned("a.example.com", 1001, 0));
	ck_assert(!pinned("b.example.com", 1000, 0));
	ck_assert_uint_eq(names(1000, 0, name), 1);
	ck_assert_str_eq(name[0], "a.example.com");
	ck_assert_uint_eq(names(1000, after, name), 0);
	ck_assert_uint_eq(names(1001, 0, name), 0);
	end();
}
END_TEST

START_TEST(a_flipping_answer_keeps_each_for_the_grace)
{
	begin();
	pin("flip.example.com", 1, 0, 0);
	pin("flip.example.com", 2, 0, 10 * SECOND);
	ck_assert(pinned("flip.example.com", 1, 20 * SECOND));
	ck_assert(pinned("flip.example.com", 2, 20 * SECOND));
	ck_assert(!pinned("flip.example.com", 1, 35 * SECOND));
	ck_assert(pinned("flip.example.com", 2, 35 * SECOND));
	/* A long TTL is cut. */
	pin("long.example.com", 3, UINT32_MAX, 0);
	ck_assert(!pinned("long.example.com", 3, PIN_TTL_MAX * SECOND + PIN_GRACE_NS));
	end();
}
END_TEST

START_TEST(both_families_are_pinned)
{
	uint8_t key[PIN_ADDRESS] = {0x20, 0x01, 0x48, 0x60, [15] = 1}, other[PIN_ADDRESS];
	const char *name[PIN_NAMES_MAX];

	begin();
	ck_assert_int_eq(dns_pins_add(&pins, "a.example.com", key, 60, 0), 0);
	ck_assert_int_eq(pin("a.example.com", ADDRESS(93, 184, 216, 34), 60, 0), 0);
	ck_assert_uint_eq(pins.count, 2);
	ck_assert(dns_pins_have(&pins, "a.example.com", key, 0));
	ck_assert(pinned("a.example.com", ADDRESS(93, 184, 216, 34), 0));
	ck_assert_uint_eq(dns_pins_names(&pins, key, 0, name), 1);
	/* All bytes count. */
	memcpy(other, key, sizeof(other));
	other[15]++;
	ck_assert(!dns_pins_have(&pins, "a.example.com", other, 0));
	memcpy(other, key, sizeof(other));
	other[0]++;
	ck_assert_uint_eq(dns_pins_names(&pins, other, 0, name), 0);
	/* The first 4 bytes, as an IPv4 address, are another one; so are the last. */
	ck_assert(!pinned("a.example.com", ADDRESS(0x20, 0x01, 0x48, 0x60), 0));
	ck_assert(!pinned("a.example.com", 1, 0));
	end();
}
END_TEST

START_TEST(several_names_open_one_address)
{
	const char *name[PIN_NAMES_MAX];
	char text[32];
	unsigned i;

	begin();
	for (i = 0; i < PIN_NAMES_MAX + 4; i++) {
		snprintf(text, sizeof(text), "n%u.example.com", i);
		pin(text, 1000, 60, i);
	}
	ck_assert_uint_eq(names(1000, SECOND, name), PIN_NAMES_MAX);
	ck_assert_str_eq(name[0], text); /* the latest first */
	end();
}
END_TEST

START_TEST(the_oldest_pin_makes_room)
{
	char text[32];
	unsigned i;

	begin();
	for (i = 0; i < PINS_MAX + 10; i++) {
		snprintf(text, sizeof(text), "n%u.example.com", i);
		ck_assert_int_eq(pin(text, i, 60, 0), 0);
		pin("n0.example.com", 0, 60, 0); /* renewed all the time */
	}
	ck_assert_uint_eq(pins.count, PINS_MAX);
	ck_assert(pinned("n0.example.com", 0, 0));
	ck_assert(!pinned("n1.example.com", 1, 0));
	ck_assert(pinned(text, PINS_MAX + 9, 0));
	dns_pins_clear(&pins);
	ck_assert_uint_eq(pins.count, 0);
	ck_assert(!pinned(text, PINS_MAX + 9, 0));
	end();
}
END_TEST

START_TEST(a_rate_gives_a_burst_and_then_its_share)
{
	struct bucket rate;
	uint64_t now = 1000 * SECOND;
	unsigned i, taken = 0;

	bucket_init_burst(&rate, 10, 5, now);
	for (i = 0; i < 100; i++)
		taken += bucket_try(&rate, now);
	ck_assert_uint_eq(taken, 5);
	for (i = 0, taken = 0; i < 1000; i++)
		taken += bucket_try(&rate, now + i * SECOND / 100); /* 10 seconds */
	ck_assert_uint_ge(taken, 98);
	ck_assert_uint_le(taken, 101);
}
END_TEST

START_TEST(an_earlier_time_earns_a_rate_nothing)
{
	struct bucket rate;
	uint64_t now = 1000 * SECOND;

	bucket_init_burst(&rate, 10, 1, now);
	ck_assert(bucket_try(&rate, now));
	ck_assert(!bucket_try(&rate, now - 1));
	ck_assert(bucket_try(&rate, now + SECOND));
}
END_TEST

UNIT_MAIN("net_pins", the_hash_is_siphash, a_pin_opens_its_address_for_its_name_and_time,
	  a_flipping_answer_keeps_each_for_the_grace, both_families_are_pinned,
	  several_names_open_one_address, the_oldest_pin_makes_room,
	  a_rate_gives_a_burst_and_then_its_share, an_earlier_time_earns_a_rate_nothing)
