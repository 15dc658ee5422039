/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's request NETWORK: what it accepts, and what it makes of a card. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "guest-kernel/agent/network.h"
#include "tests/support/agent_real.h"

#define ADDRESS 0xc0000202u
#define ROUTER	0xc0000201u
#define MTU	65520

static const uint8_t address6[ADDRESS6] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2};
static const uint8_t router6[ADDRESS6] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
static const uint8_t mac[6] = {6, 1, 2, 3, 4, 5};
static uint8_t payload[AGENT_NETWORK_MOST + 1];

/* A whole request with everything but search domains. */
static void fill(void)
{
	memset(payload, 0, sizeof(payload));
	agent_put32(payload + AGENT_NETWORK_AT_ADDRESS, ADDRESS);
	agent_put32(payload + AGENT_NETWORK_AT_PREFIX, 24);
	agent_put32(payload + AGENT_NETWORK_AT_ROUTER, ROUTER);
	agent_put32(payload + AGENT_NETWORK_AT_RESOLVER, ROUTER);
	agent_put32(payload + AGENT_NETWORK_AT_MTU, MTU);
	memcpy(payload + AGENT_NETWORK_AT_MAC, mac, sizeof(mac));
	agent_put32(payload + AGENT_NETWORK_AT_PREFIX6, 64);
	memcpy(payload + AGENT_NETWORK_AT_ADDRESS6, address6, ADDRESS6);
	memcpy(payload + AGENT_NETWORK_AT_ROUTER6, router6, ADDRESS6);
	memcpy(payload + AGENT_NETWORK_AT_RESOLVER6, router6, ADDRESS6);
}

static uint32_t parse(uint32_t length)
{
	struct network_settings settings;

	return network_parse(&settings, payload, length);
}

START_TEST(requests_have_three_lengths)
{
	struct network_settings settings;
	uint32_t length, expected;

	fill();
	memset(payload + AGENT_NETWORK_SIZE_IPV6, 'a', AGENT_NETWORK_SEARCH_MAX + 1);
	for (length = 0; length <= AGENT_NETWORK_MOST + 1; length++) {
		expected = length == AGENT_NETWORK_SIZE || length == AGENT_NETWORK_SIZE_MAC ||
					   (length >= AGENT_NETWORK_SIZE_IPV6 &&
					    length <= AGENT_NETWORK_MOST)
				   ? 0
				   : EINVAL;
		ck_assert_msg(parse(length) == expected, "%u bytes", length);
	}
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE), 0);
	ck_assert(!settings.mac && !settings.address6 && settings.search_length == 0);
	ck_assert_uint_eq(settings.address, ADDRESS);
	ck_assert_uint_eq(settings.mtu, MTU);
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_MAC), 0);
	ck_assert_mem_eq(settings.mac, mac, sizeof(mac));
	ck_assert(!settings.address6 && !settings.router6 && !settings.resolver6);
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_IPV6 + 3), 0);
	ck_assert_mem_eq(settings.mac, mac, sizeof(mac));
	ck_assert_mem_eq(settings.address6, address6, ADDRESS6);
	ck_assert_mem_eq(settings.router6, router6, ADDRESS6);
	ck_assert_mem_eq(settings.resolver6, router6, ADDRESS6);
	ck_assert_uint_eq(settings.prefix6, 64);
	ck_assert_uint_eq(settings.search_length, 3);
	/* Zeros stand for nothing. */
	memset(payload + AGENT_NETWORK_AT_MAC, 0, sizeof(mac));
	memset(payload + AGENT_NETWORK_AT_ROUTER6, 0, 2 * ADDRESS6);
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_IPV6), 0);
	ck_assert(!settings.mac && settings.address6 && !settings.router6 && !settings.resolver6);
	ck_assert_uint_eq(settings.search_length, 0);
}
END_TEST

START_TEST(numbers_have_bounds)
{
	static const struct {
		uint32_t at, value, expected;
	} cases[] = {
		{AGENT_NETWORK_AT_PREFIX, 0, EINVAL},
		{AGENT_NETWORK_AT_PREFIX, 1, 0},
		{AGENT_NETWORK_AT_PREFIX, 30, 0},
		{AGENT_NETWORK_AT_PREFIX, 31, EINVAL},
		{AGENT_NETWORK_AT_PREFIX, UINT32_MAX, EINVAL},
		{AGENT_NETWORK_AT_MTU, 67, EINVAL},
		{AGENT_NETWORK_AT_MTU, 1279, EINVAL}, /* too small for IPv6 */
		{AGENT_NETWORK_AT_MTU, 1280, 0},
		{AGENT_NETWORK_AT_MTU, 65535, 0},
		{AGENT_NETWORK_AT_MTU, 65536, EINVAL},
		{AGENT_NETWORK_AT_PREFIX6, 0, EINVAL}, /* an address without a prefix */
		{AGENT_NETWORK_AT_PREFIX6, 1, 0},
		{AGENT_NETWORK_AT_PREFIX6, 126, 0},
		{AGENT_NETWORK_AT_PREFIX6, 127, EINVAL},
		{AGENT_NETWORK_AT_PREFIX6, 64 + 256, EINVAL},
		{AGENT_NETWORK_AT_PREFIX6, UINT32_MAX, EINVAL},
	};
	struct network_settings settings;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fill();
		agent_put32(payload + cases[i].at, cases[i].value);
		ck_assert_msg(parse(AGENT_NETWORK_SIZE_IPV6) == cases[i].expected, "case %zu", i);
	}
	/* Without IPv6 the MTU may be what it may be for IPv4. */
	fill();
	memset(payload + AGENT_NETWORK_AT_ADDRESS6, 0, ADDRESS6);
	agent_put32(payload + AGENT_NETWORK_AT_MTU, 68);
	ck_assert_uint_eq(parse(AGENT_NETWORK_SIZE_IPV6), EINVAL); /* a prefix of no address */
	agent_put32(payload + AGENT_NETWORK_AT_PREFIX6, 0);
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_IPV6), 0);
	ck_assert(!settings.address6 && !settings.router6 && !settings.resolver6);
}
END_TEST

START_TEST(search_domains_are_names)
{
	unsigned c;

	fill();
	for (c = 0; c < 256; c++) {
		memcpy(payload + AGENT_NETWORK_SIZE_IPV6, "a.b", 3);
		payload[AGENT_NETWORK_SIZE_IPV6 + 1] = (uint8_t)c;
		ck_assert_msg((parse(AGENT_NETWORK_SIZE_IPV6 + 3) == 0) ==
				      (c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							"abcdefghijklmnopqrstuvwxyz0123456789-_. ",
							(int)c) != NULL),
			      "byte %u", c);
	}
}
END_TEST

START_TEST(the_file_of_resolvers)
{
	static const char search[] = "corp.example lab.example";
	struct network_settings settings = {.resolver = ROUTER};
	char text[NETWORK_RESOLVER_TEXT], domains[AGENT_NETWORK_SEARCH_MAX];
	uint8_t longest[ADDRESS6];
	size_t length;

	length = network_resolver_text(&settings, text);
	ck_assert_uint_eq(length, 21);
	ck_assert_mem_eq(text, "nameserver 192.0.2.1\n", length);
	settings.resolver6 = router6;
	settings.search = search;
	settings.search_length = strlen(search);
	length = network_resolver_text(&settings, text);
	text[length] = '\0';
	ck_assert_str_eq(text, "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
			       "search corp.example lab.example\n");
	settings.resolver = 0;
	settings.resolver6 = NULL;
	length = network_resolver_text(&settings, text);
	text[length] = '\0';
	ck_assert_str_eq(text, "search corp.example lab.example\n");
	settings.search_length = 0;
	ck_assert_uint_eq(network_resolver_text(&settings, text), 0);
	/* The longest there can be. */
	settings.resolver = UINT32_MAX;
	memset(longest, 0xff, sizeof(longest));
	settings.resolver6 = longest;
	memset(domains, 'd', sizeof(domains));
	settings.search = domains;
	settings.search_length = sizeof(domains);
	length = network_resolver_text(&settings, text);
	ck_assert_uint_eq(length, 27 + 51 + 7 + 256 + 1);
}
END_TEST

/* --- a card ----------------------------------------------------------------------------------- */

/* A card, which is a tap: its descriptor, or -1. It is there until that is closed. */
static int make_card(void)
{
	struct ifreq request = {.ifr_name = NETWORK_CARD, .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	close(fd);
	return -1;
}

#define SYSCTL(name) "/proc/sys/net/ipv6/conf/" NETWORK_CARD "/" name

/* A card in a network of this process's own. -1: this host does not let it. */
static int own_card(void)
{
	int fd = -1;

	if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) == 0)
		fd = make_card();
	if (fd >= 0 && access(SYSCTL("addr_gen_mode"), W_OK) == 0)
		return fd;
	fprintf(stderr, "no card of its own: not tested\n");
	close(fd);
	return -1;
}

/* The text of a file that the kernel makes. */
static const char *read_text(const char *path)
{
	static char text[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 0;

	while (fd >= 0 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	return text;
}

#define LOCAL	"fe800000000000000000000000000002"
#define GLOBAL	"20010db8000000000000000000000002"
#define GATEWAY "20010db8000000000000000000000001"
#define NOWHERE "00000000000000000000000000000000"

/* The card's addresses are there, not tentative (flag 40), and no other ones. */
static void expect_addresses(void)
{
	const char *text = read_text("/proc/net/if_inet6"), *at;
	unsigned index, prefix, scope, flags, count = 0;
	char address[33], name[17];

	for (at = text; *at; at = strchr(at, '\n') + 1) {
		ck_assert_int_eq(sscanf(at, "%32s %x %x %x %x %16s", address, &index, &prefix,
					&scope, &flags, name),
				 6);
		if (strcmp(name, NETWORK_CARD) != 0)
			continue;
		ck_assert_msg(strcmp(address, LOCAL) == 0 || strcmp(address, GLOBAL) == 0, "%s",
			      text);
		ck_assert_uint_eq(prefix, 64);
		ck_assert_uint_eq(flags & 0x40, 0);
		ck_assert_uint_eq(flags & 0x02, 0x02);
		count++;
	}
	ck_assert_msg(count == 2, "%s", text);
	ck_assert_ptr_nonnull(
		strstr(read_text("/proc/net/ipv6_route"), NOWHERE " 00 " NOWHERE " 00 " GATEWAY));
}

START_TEST(a_card_gets_both_families)
{
	struct network_settings settings;
	int fd = own_card();

	if (fd < 0)
		return;
	fill();
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_IPV6), 0);
	ck_assert_int_eq(network_set_card(&settings), 0);
	ck_assert_ptr_nonnull(settings.resolver6);
	expect_addresses();
	ck_assert_str_eq(read_text(SYSCTL("accept_ra")), "0\n");
	ck_assert_str_eq(read_text(SYSCTL("mtu")), "65520\n");
	ck_assert_ptr_nonnull(strstr(read_text("/proc/net/route"), "eth0\t00000000\t010200C0"));
	/* Again, as after a restore of a sandbox that has its network: nothing changes. */
	ck_assert_int_eq(network_set_card(&settings), 0);
	expect_addresses();
	/* Without, and with it once more. */
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_MAC), 0);
	ck_assert_int_eq(network_set_card(&settings), 0);
	ck_assert_ptr_null(strstr(read_text("/proc/net/if_inet6"), NETWORK_CARD));
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_IPV6), 0);
	ck_assert_int_eq(network_set_card(&settings), 0);
	expect_addresses();
	close(fd);
}
END_TEST

/* What the kernel has asked for on its own, in frames of ICMPv6. */
struct asked {
	unsigned routers;    /* router solicitations */
	unsigned duplicates; /* neighbour solicitations from no address */
};

static void read_frames(int fd, struct asked *asked)
{
	static const uint8_t nowhere[ADDRESS6];
	uint8_t frame[2048];
	ssize_t n;

	while ((n = read(fd, frame, sizeof(frame))) > 0) {
		if (n < 55 || load_be16(frame + 12) != 0x86dd || frame[20] != 58)
			continue;
		asked->routers += frame[54] == 133;
		asked->duplicates += frame[54] == 135 && memcmp(frame + 22, nowhere, ADDRESS6) == 0;
	}
}

static void switch_card_on(void)
{
	struct ifreq request = {.ifr_name = NETWORK_CARD, .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

START_TEST(the_kernel_asks_nothing_on_its_own)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	struct network_settings settings;
	struct asked asked = {0};
	int fd = own_card();
	unsigned i;

	if (fd < 0)
		return;
	fill();
	ck_assert_uint_eq(network_parse(&settings, payload, AGENT_NETWORK_SIZE_IPV6), 0);
	ck_assert_int_eq(network_set_card(&settings), 0);
	for (i = 0; i < 15; i++) {
		nanosleep(&pause, NULL);
		read_frames(fd, &asked);
	}
	ck_assert_uint_eq(asked.routers, 0);
	ck_assert_uint_eq(asked.duplicates, 0);
	close(fd);
	/* The control: a card that is only switched on. */
	fd = make_card();
	ck_assert_int_ge(fd, 0);
	switch_card_on();
	while (asked.duplicates == 0 || asked.routers == 0) {
		nanosleep(&pause, NULL);
		read_frames(fd, &asked);
	}
	close(fd);
}
END_TEST

UNIT_MAIN("agent_network", requests_have_three_lengths, numbers_have_bounds,
	  search_domains_are_names, the_file_of_resolvers, a_card_gets_both_families,
	  the_kernel_asks_nothing_on_its_own)
