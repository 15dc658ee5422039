/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's network on a tap: which policy it takes, what its guest gets, and how it ends. */
#include "vmm/sandbox/network_tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/support/address.h"
#include "tests/support/audit_log.h"
#include "tests/support/net_card_host.h"
#include "vmm/agent/channel.h"
#include "vmm/base/fd.h"
#include "vmm/net/tap.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/network.h"

#define LENGTH 100
#define TCP4   1

static const struct tap_wire wire = {.guest = ADDRESS(10, 99, 0, 2),
				     .host = ADDRESS(10, 99, 0, 1),
				     .prefix = 30,
				     .guest_mac = {2, 8, 7, 6, 5, 4},
				     .mtu = 9000};
static struct network network;
static struct guard *guard;
static struct err err;
static int outside; /* what stands for the host's kernel */

static struct policy *policy_of(const char *text)
{
	const struct policy_source source = {.name = "p", .directory = "/"};
	struct policy *policy;
	char whole[256];

	snprintf(whole, sizeof(whole), "policy 1\n%s\n", text);
	ck_assert_msg(policy_parse(&policy, whole, strlen(whole), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

/* A card whose guest has these features, and its network; the tap's link is not up yet. */
static void begin_with(uint64_t features, const struct tap_wire *with)
{
	int pair[2];

	audit_log_begin();
	ck_assert_int_eq(guard_create(&guard, policy_of("net allow any"),
				      audit_log_open((struct audit_config){.brief = true})),
			 0);
	card_offloads = true;
	card_begin(features);
	net_card_set_owner(card, NULL, NULL);
	net_card_set_link(card, false);
	network = (struct network){
		.loop = loop, .guard = guard, .card = card, .config = {.tap = "tap9"}};
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	outside = pair[1];
	ck_assert_int_eq(network_tap_attach(&network, pair[0], with, &err), 0);
	ck_assert(network_exists(&network));
}

static void begin(uint64_t features)
{
	begin_with(features, &wire);
}

static void start(void)
{
	struct agent_network config;

	ck_assert(network_tap_start(&network, &config));
}

/* How many lines of the log have that text. */
static unsigned end(const char *text)
{
	unsigned found;

	network_close(&network);
	network_close(&network);
	card_end();
	fd_close(&outside);
	guard_destroy(guard);
	found = audit_log_lines(text);
	audit_log_end();
	return found;
}

static void from_host(const uint8_t header[TAP_HEADER], size_t length)
{
	uint8_t bytes[TAP_HEADER + LENGTH];

	memcpy(bytes, header, TAP_HEADER);
	card_fill(bytes + TAP_HEADER, length);
	ck_assert_int_eq(send(outside, bytes, TAP_HEADER + length, 0),
			 (ssize_t)(TAP_HEADER + length));
	card_run();
}

/* --- what the guest gets ---------------------------------------------------------------------- */

START_TEST(the_guest_gets_the_interface_s_network)
{
	struct agent_network config;

	begin(ALL_BASIC);
	ck_assert(network_tap_start(&network, &config));
	ck_assert_uint_eq(config.address, wire.guest);
	ck_assert_uint_eq(config.prefix, 30);
	ck_assert_uint_eq(config.router, wire.host);
	ck_assert_uint_eq(config.resolver, 0);
	ck_assert_uint_eq(config.mtu, 9000);
	ck_assert_mem_eq(network.mac, wire.guest_mac, TAP_MAC);
	/* The agent has connected again: all of it stays as it is. */
	ck_assert(network_tap_start(&network, &config));
	ck_assert_uint_eq(config.address, wire.guest);
	end("");
}
END_TEST

START_TEST(the_guest_gets_ipv6_if_the_interface_has_it)
{
	struct tap_wire both = wire;
	struct agent_network config = {.mtu = 0};
	uint8_t none[16] = {0};

	begin(ALL_BASIC);
	network_tap_describe(&network, &config);
	ck_assert_uint_eq(config.prefix6, 0);
	ck_assert_mem_eq(config.address6, none, 16);
	ck_assert_str_eq(config.search, "");
	end("");
	both.prefix6 = 64;
	both.host6[0] = both.guest6[0] = 0xfd;
	both.host6[15] = 1;
	both.guest6[15] = 2;
	begin_with(ALL_BASIC, &both);
	network_tap_describe(&network, &config);
	ck_assert_uint_eq(config.prefix6, 64);
	ck_assert_mem_eq(config.address6, both.guest6, 16);
	ck_assert_mem_eq(config.router6, both.host6, 16);
	ck_assert_mem_eq(config.resolver6, none, 16);
	end("");
}
END_TEST

START_TEST(a_resolver_is_one_that_the_guest_reaches)
{
	static const struct {
		const char *text;
		uint32_t address;
		const char *address6; /* where the guest has IPv6 */
	} all[] = {
		{"", 0, NULL},
		{"nameserver 127.0.0.53\n", 0, NULL},
		{"nameserver 127.0.0.53\nnameserver 10.1.2.3\nnameserver 10.1.2.4\n",
		 ADDRESS(10, 1, 2, 3), NULL},
		{"nameserver 2001:db8::1\nnameserver 192.168.1.1", ADDRESS(192, 168, 1, 1), NULL},
		{"nameserver 0.0.0.0\n", 0, NULL},
		{"nameserver ::1\nnameserver 127.1.1.1\n", 0, NULL},
		{"search a.test\noptions edns0\nnameserver 128.0.0.1 # one\n",
		 ADDRESS(128, 0, 0, 1), NULL},
		{"nameserver 126.255.255.255", ADDRESS(126, 255, 255, 255), NULL},
		{"nameserver 127.0.0.53\nnameserver fd99::53\n", 0, "fd99::53"},
		{"nameserver ::1\nnameserver 2001:4860:4860::8888\nnameserver fd99::1", 0,
		 "2001:4860:4860::8888"},
		{"nameserver fe80::1\nnameserver ::\nnameserver ::ffff:127.0.0.1\n", 0, NULL},
	};
	uint8_t six[16], none[16] = {0};
	struct network_tap_names names;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ck_assert(network_tap_read_names(&names, all[i].text, strlen(all[i].text), false) ==
			  (all[i].address != 0));
		ck_assert_uint_eq(names.resolver, all[i].address);
		ck_assert_mem_eq(names.resolver6, none, 16);
		ck_assert(network_tap_read_names(&names, all[i].text, strlen(all[i].text), true) ==
			  (all[i].address != 0 || all[i].address6));
		ck_assert_uint_eq(names.resolver, all[i].address);
		inet_pton(AF_INET6, all[i].address6 ? all[i].address6 : "::", six);
		ck_assert_mem_eq(names.resolver6, six, 16);
	}
	network_tap_read_names(&names, "search a.test B.test\n", 21, false);
	ck_assert_str_eq(names.search, "a.test b.test");
}
END_TEST

/* --- frames ----------------------------------------------------------------------------------- */

START_TEST(frames_of_the_guest_pass_as_they_are)
{
	static const uint8_t headers[][HEADER] = {
		{0}, {1, 0, 0, 0, 0, 0, 34, 0, 16}, {1, TCP4, 54, 0, 40, 0, 34, 0, 16}};
	uint8_t got[TAP_HEADER + LENGTH + 1];
	unsigned i, k;

	begin(ALL_BASIC | ALL_TSO);
	/* Not before the link is up. */
	offer(TX, LENGTH, 0, 0);
	fake_queue_kick(TX);
	card_run();
	ck_assert_int_lt(recv(outside, got, sizeof(got), 0), 0);
	start();
	for (i = 0; i < ARRAY_SIZE(headers); i++) {
		offer_header(TX, LENGTH, headers[i]);
		fake_queue_kick(TX);
		card_run();
		ck_assert_int_eq(recv(outside, got, sizeof(got), 0), TAP_HEADER + LENGTH);
		ck_assert_mem_eq(got, headers[i], TAP_HEADER);
		for (k = 0; k < LENGTH; k++)
			ck_assert_uint_eq(got[TAP_HEADER + k], (uint8_t)k);
	}
	/* What the guest's header says is checked as for any owner. */
	offer_header(TX, LENGTH, (const uint8_t[HEADER]){1, 0, 0, 0, 0, 0, LENGTH});
	fake_queue_kick(TX);
	card_run();
	ck_assert_int_lt(recv(outside, got, sizeof(got), 0), 0);
	end("");
}
END_TEST

START_TEST(frames_of_the_host_pass_with_what_is_known_of_them)
{
	static const struct {
		uint8_t from[TAP_HEADER], to[2]; /* to: the flags and the type */
		bool passes;
	} all[] = {
		/* Complete and checked; complete; partial; a segment. */
		{{2}, {2, 0}, true},
		{{0}, {0, 0}, true},
		{{1, 0, 0, 0, 0, 0, 34, 0, 16}, {1, 0}, true},
		{{1, TCP4, 54, 0, 40, 0, 34, 0, 16}, {1, TCP4}, true},
		/* The kernel sends none of these. */
		{{1, 0, 0, 0, 0, 0, LENGTH}, {0}, false},
		{{1, 3, 54, 0, 40, 0, 34, 0, 16}, {0}, false},
	};
	unsigned count = 0;
	const uint8_t *bytes;
	uint8_t frame[LENGTH];
	size_t i;

	begin(ALL_BASIC | ALL_TSO);
	start();
	card_fill(frame, sizeof(frame));
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		give(1, BUFFER);
		from_host(all[i].from, LENGTH);
		bytes = fake_guest_at(&card_guest, buffer[0]);
		count += all[i].passes;
		ck_assert_uint_eq(fake_queue_used_index(RX), count);
		if (!all[i].passes)
			continue;
		ck_assert_mem_eq(bytes, all[i].to, 2);
		ck_assert_mem_eq(bytes + HEADER, frame, sizeof(frame));
	}
	end("");
}
END_TEST

/* Its buffers are waited for, and what waits is bounded: the kernel's queue holds the rest. */
START_TEST(a_guest_without_buffers_is_waited_for)
{
	static const uint8_t none[TAP_HEADER];
	unsigned i;

	begin(ALL_BASIC);
	start();
	for (i = 0; i < 100; i++)
		from_host(none, LENGTH);
	for (i = 0; i < 100; i++)
		give(1, BUFFER);
	card_run();
	ck_assert_uint_eq(fake_queue_used_index(RX), 100);
	end("");
}
END_TEST

/* --- the policy ------------------------------------------------------------------------------- */

START_TEST(only_a_policy_of_any_has_a_tap)
{
	static const char *const texts[] = {"", "net allow tcp *:*",
					    "net deny tcp evil.example:*\nnet allow any"};
	const struct network_config config = {.tap = "cordon-none"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		ck_assert_int_eq(guard_create(&guard, policy_of(texts[i]), NULL), 0);
		ck_assert_int_eq(loop_create(&loop), 0);
		ck_assert_int_eq(
			network_open(&network, loop, &config, NULL, guard, NULL, NULL, &err),
			-EPERM);
		ck_assert_str_eq(err.text, "--net tap=cordon-none: frames on a tap are not "
					   "filtered: the policy's first net rule must be \"net "
					   "allow any\"");
		ck_assert(!network_exists(&network));
		network_close(&network);
		guard_destroy(guard);
		loop_destroy(loop);
	}
	/* With one the interface is what fails. */
	ck_assert_int_eq(guard_create(&guard, policy_of("net allow any"), NULL), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_lt(network_open(&network, loop, &config, NULL, guard, NULL, NULL, &err), 0);
	ck_assert_msg(strncmp(err.text, "--net tap: ", 11) == 0, "%s", err.text);
	network_close(&network);
	guard_destroy(guard);
	loop_destroy(loop);
}
END_TEST

static void replace(const char *text)
{
	ck_assert_int_eq(guard_replace(guard, policy_of(text), "test"), 0);
	network_policy_changed(&network);
}

static bool link_is_up(void)
{
	return fake_read_size(&card_guest, FAKE_REG_CONFIG + 6, 2) == 1;
}

START_TEST(another_policy_ends_the_link)
{
	struct agent_network config;
	uint8_t got[TAP_HEADER + LENGTH];

	begin(ALL_BASIC);
	start();
	replace("net allow any\nnet allow tcp host:80");
	ck_assert(link_is_up());
	offer(TX, LENGTH, 0, 0);
	fake_queue_kick(TX);
	card_run();
	ck_assert_int_eq(recv(outside, got, sizeof(got), 0), TAP_HEADER + LENGTH);
	replace("net deny tcp evil.example:*\nnet allow any");
	ck_assert(!link_is_up());
	offer(TX, LENGTH, 0, 0);
	fake_queue_kick(TX);
	card_run();
	/* The interface is released. */
	ck_assert_int_eq(recv(outside, got, sizeof(got), 0), 0);
	/* For good, and told once. */
	ck_assert(network.lost);
	replace("net allow any");
	replace("");
	ck_assert(!link_is_up());
	ck_assert(!network_tap_start(&network, &config));
	card_run();
	ck_assert_uint_eq(end("network-lost"), 1);
}
END_TEST

START_TEST(the_end_of_the_interface_is_the_end_of_the_link)
{
	struct agent_network config;

	begin(ALL_BASIC);
	start();
	fd_close(&outside);
	card_run();
	ck_assert(!link_is_up());
	ck_assert(!network_tap_start(&network, &config));
	offer(TX, LENGTH, 0, 0);
	fake_queue_kick(TX);
	card_run();
	replace("");
	card_run();
	ck_assert_uint_eq(end("\"object\":\"tap9\",\"detail\":\"the interface is gone\""), 1);
}
END_TEST

UNIT_MAIN("network_tap", the_guest_gets_the_interface_s_network,
	  the_guest_gets_ipv6_if_the_interface_has_it, a_resolver_is_one_that_the_guest_reaches,
	  frames_of_the_guest_pass_as_they_are, frames_of_the_host_pass_with_what_is_known_of_them,
	  a_guest_without_buffers_is_waited_for, only_a_policy_of_any_has_a_tap,
	  another_policy_ends_the_link, the_end_of_the_interface_is_the_end_of_the_link)
