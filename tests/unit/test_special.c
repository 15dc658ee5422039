/* SPDX-License-Identifier: Apache-2.0 */
/* Special address ranges: the one table against a list of its own, and the policy by it. */
#include "vmm/base/special.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "tests/support/unit.h"
#include "vmm/policy/policy.h"

/* The oracle: first and last address of each, written out from the registries and RFCs. */
struct between {
	const char *first, *last;
	bool stays;
	uint8_t bytes[2][16];
};

static struct between four[] = {
	{"0.0.0.0", "0.255.255.255", true, {{0}}},
	{"10.0.0.0", "10.255.255.255", false, {{0}}},
	{"100.64.0.0", "100.127.255.255", false, {{0}}},
	{"127.0.0.0", "127.255.255.255", true, {{0}}},
	{"169.254.0.0", "169.254.255.255", false, {{0}}},
	{"172.16.0.0", "172.31.255.255", false, {{0}}},
	{"192.0.0.0", "192.0.0.255", false, {{0}}},
	{"192.0.2.0", "192.0.2.255", false, {{0}}},
	{"192.88.99.0", "192.88.99.255", false, {{0}}},
	{"192.168.0.0", "192.168.255.255", false, {{0}}},
	{"198.18.0.0", "198.19.255.255", false, {{0}}},
	{"198.51.100.0", "198.51.100.255", false, {{0}}},
	{"203.0.113.0", "203.0.113.255", false, {{0}}},
	{"224.0.0.0", "255.255.255.255", true, {{0}}},
};

static struct between six[] = {
	{"::", "::ffff:ffff", true, {{0}}},
	{"::ffff:0:0:0", "::ffff:0:ffff:ffff", true, {{0}}},
	{"::ffff:0:0", "::ffff:ffff:ffff", true, {{0}}},
	{"64:ff9b::", "64:ff9b::ffff:ffff", false, {{0}}},
	{"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"100::", "100::1:ffff:ffff:ffff:ffff", false, {{0}}},
	{"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, {{0}}},
	{"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, {{0}}},
};

static void read_address(int family, const char *text, uint8_t to[16])
{
	memset(to, 0, 16);
	ck_assert_msg(inet_pton(family, text, to) == 1, "%s", text);
}

static void read_oracle(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(four) + ARRAY_SIZE(six); i++) {
		int family = i < ARRAY_SIZE(four) ? AF_INET : AF_INET6;
		struct between *entry = family == AF_INET ? &four[i] : &six[i - ARRAY_SIZE(four)];

		read_address(family, entry->first, entry->bytes[0]);
		read_address(family, entry->last, entry->bytes[1]);
	}
}

/* Network order is the order of memcmp(). */
static const struct between *oracle(int family, const uint8_t *address)
{
	const struct between *list = family == AF_INET ? four : six;
	size_t count = family == AF_INET ? ARRAY_SIZE(four) : ARRAY_SIZE(six), i;

	for (i = 0; i < count; i++)
		if (memcmp(address, list[i].bytes[0], 16) >= 0 &&
		    memcmp(address, list[i].bytes[1], 16) <= 0)
			return &list[i];
	return NULL;
}

/* Adds 1 or takes 1 away; past the end it comes in at the other one. */
static void step(uint8_t *address, size_t length, int by)
{
	size_t at = length;

	while (at-- > 0) {
		address[at] = (uint8_t)(address[at] + by);
		if (address[at] != (by > 0 ? 0 : 0xff))
			return;
	}
}

/* (An assertion of check that holds costs a system call.) */
static void compare(int family, const uint8_t *address)
{
	const struct between *expected = oracle(family, address);
	const struct special_range *range = special_range((unsigned)family, address);
	char text[INET6_ADDRSTRLEN];
	bool same = !expected == !range && (!range || range->stays == expected->stays);

	if (family == AF_INET)
		same = same && special_range_ipv4(load_be32(address)) == range;
	if (same)
		return;
	inet_ntop(family, address, text, sizeof(text));
	ck_abort_msg("%s is %s", text, range ? range->what : "public");
}

START_TEST(the_table_is_that_of_the_registries)
{
	static const struct {
		int family;
		const struct between *list;
		size_t count, length;
	} both[] = {{AF_INET, four, ARRAY_SIZE(four), 4}, {AF_INET6, six, ARRAY_SIZE(six), 16}};
	uint8_t address[16];
	size_t i, k;

	read_oracle();
	for (i = 0; i < ARRAY_SIZE(both); i++) {
		for (k = 0; k < both[i].count; k++) {
			read_address(both[i].family, both[i].list[k].first, address);
			compare(both[i].family, address);
			step(address, both[i].length, -1);
			compare(both[i].family, address);
			read_address(both[i].family, both[i].list[k].last, address);
			compare(both[i].family, address);
			step(address, both[i].length, 1);
			compare(both[i].family, address);
		}
	}
}
END_TEST

START_TEST(no_range_is_missing_between_them)
{
	uint8_t address[16] = {0};
	uint32_t at;

	read_oracle();
	/* The second address of every 64th network of 256, and the first 16 bits of IPv6. */
	for (at = 0; at < 1u << 18; at++) {
		store_be32(address, at << 14 | 1);
		compare(AF_INET, address);
	}
	for (at = 0; at <= UINT16_MAX; at++) {
		store_be16(address, (uint16_t)at);
		address[15] = 1;
		compare(AF_INET6, address);
	}
}
END_TEST

static enum policy_verdict connect_to(const char *rules, const struct special_range *range)
{
	struct policy_request request = {
		.class = POLICY_NET,
		.op = POLICY_CONNECT,
		.net = {.protocol = POLICY_TCP, .name = "a.example.com", .port = 80},
	};
	struct policy_decision decision;
	struct policy *policy;
	struct err err;
	unsigned bit;

	ck_assert_msg(policy_parse(&policy, rules, strlen(rules),
				   &(struct policy_source){.name = "test"}, &err) == 0,
		      "%s", err.text);
	request.net.family = range->family;
	/* Its last address: there is no narrower range there. */
	memcpy(request.net.address, range->network, 16);
	for (bit = range->prefix; bit < (range->family == AF_INET ? 32 : 128); bit++)
		request.net.address[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	policy_decide(policy, &request, &decision);
	policy_free(policy);
	return decision.verdict;
}

/* Neither a star, a name nor a wider network opens one; a rule for just it does. */
START_TEST(the_policy_opens_each_by_a_rule_for_just_it)
{
	static const char wide[] = "policy 1\nnet allow tcp *:80 a.example.com:80 0.0.0.0/0:80 "
				   "[::]/0:80\n";
	static const struct special_range public[] = {
		{.family = AF_INET, .prefix = 32, .network = {93, 184, 216, 34}},
		{.family = AF_INET6, .prefix = 128, .network = {0x26, 0x06, 0x28}}};
	const struct special_range *range;
	char rules[200], text[INET6_ADDRSTRLEN];
	size_t i;

	for (i = 0; (range = special_range_at(i)) != NULL; i++) {
		inet_ntop((int)range->family, range->network, text, sizeof(text));
		ck_assert_msg(connect_to(wide, range) == POLICY_DENY, "%s", text);
		snprintf(rules, sizeof(rules),
			 range->family == AF_INET ? "policy 1\nnet allow tcp %s/%u:80\n"
						  : "policy 1\nnet allow tcp [%s]/%u:80\n",
			 text, range->prefix);
		ck_assert_msg(connect_to(rules, range) == POLICY_ALLOW, "%s", rules);
	}
	for (i = 0; i < ARRAY_SIZE(public); i++)
		ck_assert_int_eq(connect_to(wide, &public[i]), POLICY_ALLOW);
}
END_TEST

UNIT_MAIN("special", the_table_is_that_of_the_registries, no_range_is_missing_between_them,
	  the_policy_opens_each_by_a_rule_for_just_it)
