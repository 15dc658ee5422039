/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of both families. */
#include "vmm/relay/ip.h"

#include "tests/support/unit.h"

static const int families[] = {AF_INET, AF_INET6};

static struct ip_address read_address(const char *text)
{
	struct ip_address address = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	ck_assert_int_eq(inet_pton(address.family, text, address.bytes), 1);
	return address;
}

static void check_text(const struct ip_address *address, const char *expected)
{
	char text[IP_TEXT];

	ck_assert_str_eq(ip_text(address, text), expected);
}

START_TEST(the_own_addresses_are_those_of_the_manual)
{
	static const struct {
		enum ip_own which;
		const char *four, *six;
	} table[] = {
		{IP_OWN_ROUTER, "192.0.2.1", "2001:db8::1"},
		{IP_OWN_GUEST, "192.0.2.2", "2001:db8::2"},
		{IP_OWN_HOST, "192.0.2.4", "2001:db8::4"},
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		struct ip_address four = ip_own(AF_INET, table[i].which),
				  six = ip_own(AF_INET6, table[i].which);

		check_text(&four, table[i].four);
		check_text(&six, table[i].six);
		ck_assert(ip_is_own(&four) && ip_is_own(&six));
		for (k = 0; k < ARRAY_SIZE(table); k++) {
			ck_assert_int_eq(ip_is(&four, table[k].which), i == k);
			ck_assert_int_eq(ip_is(&six, table[k].which), i == k);
		}
	}
}
END_TEST

START_TEST(the_own_network_ends_at_its_prefix)
{
	static const struct {
		const char *text;
		bool own;
	} table[] = {
		{"192.0.2.0", true},
		{"192.0.2.255", true},
		{"192.0.1.255", false},
		{"192.0.3.0", false},
		{"93.184.216.34", false},
		{"2001:db8::", true},
		{"2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false},
		{"2001:db8:0:1::", false},
		{"::192.0.2.1", false},
		{"::ffff:192.0.2.1", false},
	};
	const struct ip_address none = {.bytes = {192, 0, 2, 1}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		struct ip_address address = read_address(table[i].text);

		ck_assert_msg(ip_is_own(&address) == table[i].own, "%s", table[i].text);
	}
	ck_assert(!ip_is_own(&none) && !ip_is(&none, IP_OWN_ROUTER));
}
END_TEST

START_TEST(special_addresses_are_those_of_the_table)
{
	static const struct {
		const char *text;
		bool special;
	} table[] = {
		{"10.1.2.3", true},
		{"169.254.169.254", true},
		{"127.0.0.1", true},
		{"192.0.2.2", true},
		{"255.255.255.255", true},
		{"93.184.216.34", false},
		{"1.1.1.1", false},
		{"::", true},
		{"::1", true},
		{"fe80::1", true},
		{"fd00::1", true},
		{"ff02::1", true},
		{"2001:db8::2", true},
		{"::ffff:1.1.1.1", true},
		{"64:ff9b::1.1.1.1", true},
		{"2606:4700::1", false},
		{"2a00:1450::1", false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		struct ip_address address = read_address(table[i].text);

		ck_assert_msg(ip_is_special(&address) == table[i].special, "%s", table[i].text);
	}
}
END_TEST

START_TEST(addresses_of_two_families_are_never_the_same)
{
	struct ip_address a = read_address("32.1.13.184"), b = read_address("2001:db8::"),
			  c = read_address("32.1.13.184");

	ck_assert_mem_eq(a.bytes, b.bytes, IP_BYTES);
	ck_assert(!ip_same(&a, &b));
	ck_assert(ip_same(&a, &c));
	c.bytes[3]++;
	ck_assert(!ip_same(&a, &c));
	c = b;
	ck_assert(ip_same(&b, &c));
	c.bytes[15]++;
	ck_assert(!ip_same(&b, &c));
}
END_TEST

START_TEST(an_address_is_made_from_a_number)
{
	struct ip_address address = ip_from4(0xc0000201), same = ip_own(AF_INET, IP_OWN_ROUTER);

	ck_assert(ip_same(&address, &same));
}
END_TEST

START_TEST(texts_are_canonical)
{
	static const char *const texts[] = {"0.0.0.0",
					    "255.255.255.255",
					    "::",
					    "::1",
					    "2001:db8::1",
					    "fe80::1:0:0:1",
					    "1234:1234:1234:1234:1234:1234:1234:1234"};
	const struct ip_address none = {.family = 0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ip_address address = read_address(texts[i]);

		check_text(&address, texts[i]);
	}
	check_text(&none, "-");
}
END_TEST

START_TEST(a_socket_address_leads_back)
{
	struct sockaddr_storage socket;
	struct ip_address address, back;
	uint16_t port;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		memset(&socket, 0xff, sizeof(socket));
		address = ip_own((unsigned)families[i], IP_OWN_HOST);
		ck_assert_uint_eq(ip_to_socket(&address, 0x1234, &socket),
				  families[i] == AF_INET ? sizeof(struct sockaddr_in)
							 : sizeof(struct sockaddr_in6));
		ck_assert_int_eq(socket.ss_family, families[i]);
		memset(&back, 0xff, sizeof(back));
		ck_assert(ip_from_socket(&socket, &back, &port));
		ck_assert(ip_same(&address, &back));
		ck_assert_uint_eq(port, 0x1234);
	}
}
END_TEST

/* Flow label and scope: neither comes from the guest. */
START_TEST(a_socket_address_has_nothing_else)
{
	struct ip_address address = read_address("fe80::1");
	struct sockaddr_storage socket;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&socket;

	memset(&socket, 0xff, sizeof(socket));
	ip_to_socket(&address, 80, &socket);
	ck_assert_uint_eq(six->sin6_flowinfo, 0);
	ck_assert_uint_eq(six->sin6_scope_id, 0);
	ck_assert_uint_eq(ntohs(six->sin6_port), 80);
}
END_TEST

/* A listener of both families sees IPv4 clients so. */
START_TEST(a_mapped_address_is_one_of_ipv4)
{
	struct ip_address mapped = read_address("::ffff:93.184.216.34"),
			  compatible = read_address("::93.184.216.34"),
			  four = read_address("93.184.216.34"), back;
	struct sockaddr_storage socket;
	uint16_t port;

	ip_to_socket(&mapped, 443, &socket);
	ck_assert_int_eq(socket.ss_family, AF_INET6);
	ck_assert(ip_from_socket(&socket, &back, &port));
	ck_assert(ip_same(&back, &four));
	ck_assert_uint_eq(port, 443);
	ip_to_socket(&compatible, 443, &socket);
	ck_assert(ip_from_socket(&socket, &back, &port));
	ck_assert(ip_same(&back, &compatible));
}
END_TEST

START_TEST(other_families_have_no_address)
{
	struct sockaddr_storage socket = {.ss_family = AF_UNIX};
	struct ip_address back;
	uint16_t port;

	ck_assert(!ip_from_socket(&socket, &back, &port));
	socket.ss_family = AF_UNSPEC;
	ck_assert(!ip_from_socket(&socket, &back, &port));
	socket.ss_family = AF_INET;
	ck_assert(ip_from_socket(&socket, &back, &port));
}
END_TEST

UNIT_MAIN("relay_ip", the_own_addresses_are_those_of_the_manual, the_own_network_ends_at_its_prefix,
	  special_addresses_are_those_of_the_table, addresses_of_two_families_are_never_the_same,
	  an_address_is_made_from_a_number, texts_are_canonical, a_socket_address_leads_back,
	  a_socket_address_has_nothing_else, a_mapped_address_is_one_of_ipv4,
	  other_families_have_no_address)
