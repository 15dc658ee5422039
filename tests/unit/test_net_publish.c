/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: which forms are accepted, and whether the host's port is available. */
#include "vmm/net/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"

START_TEST(valid_forms_are_accepted)
{
	static const struct {
		const char *text, *full;
	} cases[] = {
		{"8080:80", "127.0.0.1:8080:80/tcp"},
		{"8080:80/tcp", "127.0.0.1:8080:80/tcp"},
		{"5353:53/udp", "127.0.0.1:5353:53/udp"},
		{"127.0.0.2:1:65535", "127.0.0.2:1:65535/tcp"},
		{"0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp"},
		{"192.0.2.77:65535:1/udp", "192.0.2.77:65535:1/udp"},
		{"[::1]:8080:80", "[::1]:8080:80/tcp"},
		{"[::]:8080:80/udp", "[::]:8080:80/udp"},
		{"[2001:DB8:0:0::1]:8080:80", "[2001:db8::1]:8080:80/tcp"},
		{"[1111:2222:3333:4444:5555:6666:7777:8888]:65535:65535/udp",
		 "[1111:2222:3333:4444:5555:6666:7777:8888]:65535:65535/udp"},
		{"*:8080:80", "*:8080:80/tcp"},
	};
	char text[PUBLISH_TEXT];
	/* Its address is aligned for no number of 4 bytes. */
	_Alignas(8) struct publish publish;
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_msg(publish_parse(&publish, cases[i].text, &err) == 0, "%s", err.text);
		ck_assert_str_eq(publish_text(&publish, text), cases[i].full);
		/* The full form is parsed as the same. */
		ck_assert_int_eq(publish_parse(&publish, text, &err), 0);
		ck_assert_str_eq(publish_text(&publish, text), cases[i].full);
	}
}
END_TEST

START_TEST(invalid_forms_are_refused)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "is not [ADDRESS:]"},
		{"80", "is not [ADDRESS:]"},
		{"8080:80:", "is not an IPv4 address"},
		{"8080:80::", "is not [ADDRESS:]"},
		{":8080:80", "is not an IPv4 address"},
		{"1.2.3.4:8080:80:1", "is not [ADDRESS:]"},
		{"0:80", "not a port of the host"},
		{"8080:0", "not a port of the guest"},
		{"65536:80", "not a port of the host"},
		{"8080:65536", "not a port of the guest"},
		{"-1:80", "not a port of the host"},
		{"+1:80", "not a port of the host"},
		{" 1:80", "not a port of the host"},
		{"8080:", "not a port of the guest"},
		{"8080:80x", "not a port of the guest"},
		{"8080:80/", "is not [ADDRESS:]"},
		{"8080:80/sctp", "is not [ADDRESS:]"},
		{"8080:80/tcp/udp", "is not [ADDRESS:]"},
		{"8080/tcp:80", "is not [ADDRESS:]"},
		{"localhost:8080:80", "is not an IPv4 address"},
		{"1.2.3:8080:80", "is not an IPv4 address"},
		{"1.2.3.256:8080:80", "is not an IPv4 address"},
		{"01.2.3.4:8080:80", "is not an IPv4 address"},
		{"::1:8080:80", "is not [ADDRESS:]"},
		{"[::1]", "is not [ADDRESS:]"},
		{"[::1]8080:80", "is not [ADDRESS:]"},
		{"[::1:8080:80", "is not [ADDRESS:]"},
		{"[::1]:8080", "is not [ADDRESS:]"},
		{"[::1]:8080:80:1", "is not [ADDRESS:]"},
		{"[]:8080:80", "is not an IPv6 address"},
		{"[127.0.0.1]:8080:80", "is not an IPv6 address"},
		{"[::ffff:127.0.0.1]:8080:80", "is not an IPv6 address"},
		{"[::1%lo]:8080:80", "is not an IPv6 address"},
		{"[*]:8080:80", "is not an IPv6 address"},
		{"**:8080:80", "is not an IPv4 address"},
		{"1111111111111111111111111111111111111111111111111111111111111111:80",
		 "not a port of the host"},
		{"111111111111111111111111111111111111111111111111111111111111111111111111111111111"
		 "1"
		 "11111111111:80",
		 "is not [ADDRESS:]"},
		{"18446744073709551617:80", "not a port of the host"},
		{"8080:80\n", "not a port of the guest"},
	};
	struct publish publish;
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_msg(publish_parse(&publish, cases[i].text, &err) == -EINVAL, "%s",
			      cases[i].text);
		ck_assert_msg(strstr(err.text, cases[i].why), "%s: %s", cases[i].text, err.text);
	}
}
END_TEST

START_TEST(equal_ports_clash)
{
	static const struct {
		const char *a, *b;
		bool clash;
	} cases[] = {
		{"80:1", "80:2", true},
		{"80:1", "81:1", false},
		{"80:1", "80:1/udp", false},
		{"0.0.0.0:80:1", "80:1", true},
		{"127.0.0.2:80:1", "80:1", false},
		{"0.0.0.0:80:1/udp", "1.2.3.4:80:1/udp", true},
		{"[::1]:80:1", "[::1]:80:2", true},
		{"[::1]:80:1", "[::2]:80:1", false},
		{"[::]:80:1", "[::2]:80:1", true},
		{"[::]:80:1", "0.0.0.0:80:1", false},
		{"[::1]:80:1", "80:1", false},
		{"*:80:1", "80:1", true},
		{"*:80:1", "[::1]:80:1", true},
		{"*:80:1", "*:81:1", false},
	};
	struct publish a, b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(publish_parse(&a, cases[i].a, NULL), 0);
		ck_assert_int_eq(publish_parse(&b, cases[i].b, NULL), 0);
		ck_assert_msg(publish_clash(&a, &b) == cases[i].clash, "%s %s", cases[i].a,
			      cases[i].b);
		ck_assert_int_eq(publish_clash(&b, &a), cases[i].clash);
	}
}
END_TEST

/* Probing a port of the loopback that is in use. */
static void port_in_use(int type, bool udp)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	struct publish publish = {
		.family = AF_INET, .address = {127, 0, 0, 1}, .guest_port = 80, .udp = udp};
	socklen_t length = sizeof(at);
	struct err err;
	int yes = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (!udp)
		ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	publish.host_port = ntohs(at.sin_port);
	ck_assert_int_eq(publish_probe(&publish, &err), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "of 127.0.0.1 is in use"));
	/* The port is available at another address of this host. */
	publish.address[3] = 3;
	ck_assert_int_eq(publish_probe(&publish, &err), 0);
	publish.address[0] = publish.address[3] = 0;
	ck_assert_int_eq(publish_probe(&publish, &err), -EADDRINUSE);
	publish.family = 0;
	ck_assert_int_eq(publish_probe(&publish, &err), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "of * is in use"));
	close(fd);
	publish.family = AF_INET;
	publish.address[0] = 127;
	publish.address[3] = 1;
	ck_assert_msg(publish_probe(&publish, &err) == 0, "%s", err.text);
}

START_TEST(ports_in_use)
{
	port_in_use(SOCK_STREAM, false);
	port_in_use(SOCK_DGRAM, true);
}
END_TEST

START_TEST(foreign_addresses_are_refused)
{
	struct publish publish = {
		.family = AF_INET, .address = {1, 2, 3, 4}, .host_port = 40000, .guest_port = 80};
	struct err err;

	ck_assert_int_eq(publish_probe(&publish, &err), -EADDRNOTAVAIL);
	ck_assert_str_eq(err.text, "1.2.3.4 is not an address of this host");
}
END_TEST

/* IPv4 and IPv6 have ports of their own. */
START_TEST(ports_of_ipv6)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct publish publish = {.family = AF_INET6, .address = {[15] = 1}, .guest_port = 80};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(at);
	struct err err;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		if (fd >= 0)
			close(fd);
		return; /* the host has no IPv6 */
	}
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	publish.host_port = ntohs(at.sin6_port);
	ck_assert_int_eq(publish_probe(&publish, &err), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "of [::1] is in use"));
	publish.family = 0;
	publish.address[15] = 0;
	ck_assert_int_eq(publish_probe(&publish, &err), -EADDRINUSE);
	publish.family = AF_INET;
	ck_assert_int_eq(publish_probe(&publish, &err), 0);
	close(fd);
	publish.family = 0;
	ck_assert_msg(publish_probe(&publish, &err) == 0, "%s", err.text);
}
END_TEST

UNIT_MAIN("net_publish", valid_forms_are_accepted, invalid_forms_are_refused, equal_ports_clash,
	  ports_in_use, foreign_addresses_are_refused, ports_of_ipv6)
