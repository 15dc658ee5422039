/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that a guest fills: flows and pins; their hash, and rates. */
#include <stdio.h>

#include "tests/support/unit.h"
#include "vmm/base/bucket.h"
#include "vmm/net/address.h"
#include "vmm/net/flow.h"
#include "vmm/net/dns_pins.h"

#define SECOND UINT64_C(1000000000)

static struct flow_table table;
static struct dns_pins pins;
static unsigned ended[FLOW_DROPPED + 1];

static void count_end(void *arg, struct flow *flow, enum flow_end how)
{
	(void)arg;
	ck_assert_uint_ne(flow->key.protocol, 0);
	ended[how]++;
}

static void begin(void)
{
	memset(ended, 0, sizeof(ended));
	ck_assert_int_eq(flow_table_init(&table), 0);
	ck_assert_int_eq(dns_pins_init(&pins), 0);
	table.ended = count_end;
}

static void end(void)
{
	flow_table_destroy(&table);
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

static struct flow_key key_of(uint32_t number)
{
	return (struct flow_key){.peer = ADDRESS(93, 184, 0, 0) + number,
				 .guest_port = (uint16_t)number,
				 .peer_port = 443,
				 .protocol = 6};
}

static struct flow *add(uint32_t number, enum flow_class class, uint64_t now_ns)
{
	struct flow_key key = key_of(number);

	return flow_add(&table, &key, class, now_ns);
}

static struct flow *find(uint32_t number)
{
	struct flow_key key = key_of(number);

	return flow_find(&table, &key);
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

START_TEST(a_flow_is_found_by_its_whole_key)
{
	struct flow_key key = key_of(7);
	struct flow *flow;

	begin();
	flow = add(7, FLOW_OPEN, 5);
	ck_assert_ptr_nonnull(flow);
	ck_assert_ptr_eq(flow_find(&table, &key), flow);
	key.peer++;
	ck_assert_ptr_null(flow_find(&table, &key));
	key = key_of(7);
	key.guest_port++;
	ck_assert_ptr_null(flow_find(&table, &key));
	key = key_of(7);
	key.peer_port++;
	ck_assert_ptr_null(flow_find(&table, &key));
	key = key_of(7);
	key.protocol = 17;
	ck_assert_ptr_null(flow_find(&table, &key));
	flow_end(&table, flow, FLOW_CLOSED);
	ck_assert_ptr_null(find(7));
	ck_assert_uint_eq(ended[FLOW_CLOSED], 1);
	ck_assert_uint_eq(table.count, 0);
	end();
}
END_TEST

START_TEST(every_class_has_its_time)
{
	static const unsigned seconds[FLOW_CLASSES] = {30, 60, 30, 180, 7800};
	unsigned i;

	begin();
	for (i = 0; i < FLOW_CLASSES; i++) {
		add(i, i, 100 * SECOND);
		ck_assert_uint_eq(flow_expire(&table, (100 + seconds[i]) * SECOND - 1, 10), 0);
		ck_assert_ptr_nonnull(find(i));
		ck_assert_uint_eq(flow_expire(&table, (100 + seconds[i]) * SECOND, 10), 1);
		ck_assert_ptr_null(find(i));
	}
	ck_assert_uint_eq(ended[FLOW_EXPIRED], FLOW_CLASSES);
	end();
}
END_TEST

START_TEST(a_flow_that_is_seen_stays)
{
	uint64_t now = 0;
	struct flow *flow;

	begin();
	flow = add(1, FLOW_UDP, now);
	add(2, FLOW_UDP, now);
	for (now = 100 * SECOND; now < 1000 * SECOND; now += 100 * SECOND) {
		flow_seen(&table, flow, FLOW_UDP, now);
		flow_expire(&table, now, 10);
	}
	ck_assert_ptr_eq(find(1), flow);
	ck_assert_ptr_null(find(2));
	/* Another class, another time. */
	flow_seen(&table, flow, FLOW_ECHO, now);
	ck_assert_uint_eq(flow_expire(&table, now + 30 * SECOND, 10), 1);
	end();
}
END_TEST

START_TEST(expiry_is_bounded_at_a_time)
{
	unsigned i;

	begin();
	for (i = 0; i < 100; i++)
		add(i, FLOW_UDP, 0);
	ck_assert_uint_eq(flow_expire(&table, 1000 * SECOND, 30), 30);
	ck_assert_uint_eq(table.count, 70);
	ck_assert_uint_eq(flow_expire(&table, 1000 * SECOND, 100), 70);
	end();
}
END_TEST

START_TEST(a_full_table_makes_room_but_keeps_connections)
{
	unsigned i;

	begin();
	for (i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(add(i, FLOW_OPEN, i));
	/* A flood of connections without replies. */
	for (; i < 100000; i++)
		ck_assert_ptr_nonnull(add(i, FLOW_OPENING, i));
	ck_assert_uint_eq(table.count, FLOW_MAX);
	ck_assert_uint_eq(ended[FLOW_EVICTED], 100000 - FLOW_MAX);
	for (i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(find(i));
	/* The oldest went first. */
	ck_assert_ptr_null(find(100));
	ck_assert_ptr_nonnull(find(99999));
	end();
}
END_TEST

START_TEST(a_table_of_open_connections_takes_no_more)
{
	unsigned i;

	begin();
	for (i = 0; i < FLOW_MAX; i++)
		ck_assert_ptr_nonnull(add(i, FLOW_OPEN, i));
	ck_assert_ptr_null(add(FLOW_MAX, FLOW_OPENING, i));
	flow_end(&table, find(5), FLOW_CLOSED);
	ck_assert_ptr_nonnull(add(FLOW_MAX, FLOW_OPENING, i));
	end();
	ck_assert_uint_eq(ended[FLOW_DROPPED], FLOW_MAX);
}
END_TEST

START_TEST(flows_are_walked)
{
	unsigned i, count = 0;
	uint32_t at = 0;

	begin();
	for (i = 0; i < 10; i++)
		add(i, FLOW_UDP, 0);
	flow_end(&table, find(3), FLOW_CLOSED);
	while (flow_next(&table, &at))
		count++;
	ck_assert_uint_eq(count, 9);
	end();
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

START_TEST(special_addresses_are_known)
{
	static const uint32_t special[] = {
		ADDRESS(10, 0, 0, 1),
		ADDRESS(10, 255, 255, 255),
		ADDRESS(100, 64, 0, 1),
		ADDRESS(127, 0, 0, 53),
		ADDRESS(169, 254, 169, 254),
		ADDRESS(172, 16, 0, 1),
		ADDRESS(172, 31, 255, 255),
		ADDRESS(192, 168, 1, 1),
		ADDRESS(192, 0, 2, 4),
		ADDRESS(198, 19, 255, 255),
		ADDRESS(224, 0, 0, 251),
		UINT32_MAX,
		0,
	};
	static const uint32_t public[] = {
		ADDRESS(9, 255, 255, 255), ADDRESS(11, 0, 0, 0),    ADDRESS(100, 63, 255, 255),
		ADDRESS(100, 128, 0, 0),   ADDRESS(172, 15, 0, 1),  ADDRESS(172, 32, 0, 0),
		ADDRESS(192, 167, 0, 1),   ADDRESS(192, 169, 0, 1), ADDRESS(198, 20, 0, 0),
		ADDRESS(223, 255, 255, 1), ADDRESS(1, 1, 1, 1),	    ADDRESS(169, 253, 0, 1),
	};
	char text[ADDRESS_TEXT];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(special); i++)
		ck_assert_msg(address_special(special[i]), "%s", address_text(special[i], text));
	for (i = 0; i < ARRAY_SIZE(public); i++)
		ck_assert_msg(!address_special(public[i]), "%s", address_text(public[i], text));
	ck_assert_str_eq(address_text(ADDRESS(255, 0, 2, 199), text), "255.0.2.199");
}
END_TEST

UNIT_MAIN("net_tables", the_hash_is_siphash, a_flow_is_found_by_its_whole_key,
	  every_class_has_its_time, a_flow_that_is_seen_stays, expiry_is_bounded_at_a_time,
	  a_full_table_makes_room_but_keeps_connections, a_table_of_open_connections_takes_no_more,
	  flows_are_walked, a_pin_opens_its_address_for_its_name_and_time,
	  a_flipping_answer_keeps_each_for_the_grace, both_families_are_pinned,
	  several_names_open_one_address, the_oldest_pin_makes_room,
	  a_rate_gives_a_burst_and_then_its_share, an_earlier_time_earns_a_rate_nothing,
	  special_addresses_are_known)
