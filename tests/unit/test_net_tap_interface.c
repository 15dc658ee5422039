/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap at an interface of the kernel, in a network of its own: what is checked, and that checksums
 * are left to the side that was agreed.
 */
#include "vmm/net/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if_tun.h>

#include "tests/support/address.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"

#define HOST	 ADDRESS(10, 99, 0, 1)
#define GUEST	 ADDRESS(10, 99, 0, 2)
#define SECOND	 UINT64_C(1000000000)
#define PARTIAL	 1  /* the flag of a header */
#define IP	 14 /* offsets in frames */
#define UDP	 (IP + 20)
#define CHECKSUM 6 /* in a UDP header */
#define ARP_END	 (14 + 28)

static struct loop *loop;
static struct tap *tap;
static struct tap_wire wire;
static unsigned frames;
static uint8_t header[TAP_HEADER], last[TAP_FRAME_MAX];
static size_t last_length;

/* --- the interface ---------------------------------------------------------------------------- */

/* Sets a property of t0 that is an address. */
static void set_address(unsigned long what, uint32_t address)
{
	struct ifreq request = {.ifr_name = "t0"};
	const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(&request.ifr_addr, &in, sizeof(in));
	ck_assert_int_eq(ioctl(fd, what, &request), 0);
	fd_close(&fd);
}

/* Gives t0 an IPv6 address, as linux/ipv6.h has it. False: this host has no IPv6. */
static bool add_address6(const char *text, uint32_t prefix)
{
	struct {
		struct in6_addr address;
		uint32_t prefix;
		int index;
	} request = {.prefix = prefix, .index = (int)if_nametoindex("t0")};
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool done = fd >= 0;

	ck_assert_int_eq(inet_pton(AF_INET6, text, &request.address), 1);
	if (done)
		ck_assert_int_eq(ioctl(fd, SIOCSIFADDR, &request), 0);
	fd_close(&fd);
	return done;
}

static void set_up(bool up)
{
	struct ifreq request = {.ifr_name = "t0", .ifr_flags = up ? IFF_UP : 0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	fd_close(&fd);
}

/* Makes t0 as an administrator does, in a network of its own. False: this host forbids that. */
static bool make_interface(void)
{
	struct ifreq request = {.ifr_name = "t0", .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = -1;

	if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) == 0)
		fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0) {
		printf("net_tap_interface: skipped: no interface of its own: %s\n",
		       strerror(errno));
		return false;
	}
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &request), 0);
	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	fd_close(&fd);
	return true;
}

static int open_tap(void)
{
	struct err err = {.text = ""};
	int fd = tap_open("t0", &wire, &err);

	ck_assert_msg(fd >= 0, "%s", err.text);
	return fd;
}

static void expect_refused(const char *text)
{
	struct err err = {.text = ""};

	ck_assert_int_lt(tap_open("t0", &wire, &err), 0);
	ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(its_ipv6_address_is_found)
{
	uint8_t host[TAP_IPV6], guest[TAP_IPV6];
	int fd;

	if (!make_interface())
		return;
	set_address(SIOCSIFADDR, HOST);
	set_address(SIOCSIFNETMASK, UINT32_MAX - 3);
	set_up(true);
	if (!add_address6("fe80::1", 64)) {
		printf("net_tap_interface: skipped: no IPv6 on this host\n");
		return;
	}
	fd = open_tap();
	ck_assert_uint_eq(wire.prefix6, 0);
	fd_close(&fd);
	ck_assert(add_address6("fd99::1", 64));
	fd = open_tap();
	inet_pton(AF_INET6, "fd99::1", host);
	inet_pton(AF_INET6, "fd99::2", guest);
	ck_assert_uint_eq(wire.prefix6, 64);
	ck_assert_mem_eq(wire.host6, host, TAP_IPV6);
	ck_assert_mem_eq(wire.guest6, guest, TAP_IPV6);
	fd_close(&fd);
}
END_TEST

START_TEST(an_interface_is_checked)
{
	int fd;

	if (!make_interface())
		return;
	expect_refused("t0 has no IPv4 address: ip addr add 10.99.0.1/30 dev t0");
	set_address(SIOCSIFADDR, HOST);
	set_address(SIOCSIFNETMASK, UINT32_MAX - 1);
	expect_refused("t0 has the prefix /31, in which the sandbox finds no address");
	set_address(SIOCSIFNETMASK, UINT32_MAX - 3);
	set_up(false); /* the address has switched it on */
	expect_refused("t0 is down: ip link set t0 up");
	set_up(true);
	fd = open_tap();
	ck_assert_uint_eq(wire.host, HOST);
	ck_assert_uint_eq(wire.guest, GUEST);
	ck_assert_uint_eq(wire.prefix, 30);
	ck_assert_uint_eq(wire.mtu, 1500);
	ck_assert_uint_eq(wire.guest_mac[0] & 3, 2); /* local, and not of a group */
	expect_refused("t0 is in use by another program");
	fd_close(&fd);
	/* It stays, and can be used again. */
	fd = open_tap();
	fd_close(&fd);
}
END_TEST

/* --- frames ----------------------------------------------------------------------------------- */

static bool owner_room(void *arg)
{
	(void)arg;
	return true;
}

/* Of the kernel's frames only ARP and UDP matter here. */
static void owner_frame(void *arg, const uint8_t *head, uint8_t *frame, size_t length)
{
	bool arp = length >= ARP_END && load_be16(frame + 12) == 0x0806;
	bool udp = length >= UDP + 8 && load_be16(frame + 12) == 0x0800 &&
		   frame[IP + 9] == IPPROTO_UDP;

	(void)arg;
	if (!arp && !udp)
		return;
	frames++;
	memcpy(header, head, sizeof(header));
	memcpy(last, frame, length);
	last_length = length;
	loop_stop(loop);
}

static void owner_died(void *arg, const char *why)
{
	(void)arg;
	ck_abort_msg("%s", why);
}

static const struct tap_ops ops = {.room = owner_room, .frame = owner_frame, .died = owner_died};

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Runs the loop until the next frame. */
static void await_frame(void)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};
	unsigned before = frames;

	loop_timer_start(loop, &timer, 20 * SECOND);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &timer);
	ck_assert_uint_eq(frames, before + 1);
}

static bool begin(void)
{
	if (!make_interface())
		return false;
	set_address(SIOCSIFADDR, HOST);
	set_address(SIOCSIFNETMASK, UINT32_MAX - 3);
	set_up(true);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(tap_create(&tap, loop, open_tap(), &ops, NULL), 0);
	tap_resume(tap);
	return true;
}

static void end(void)
{
	tap_destroy(tap);
	loop_destroy(loop);
}

/* The host asks first who has the guest's address. */
static void answer_arp(void)
{
	static const uint8_t none[TAP_HEADER];
	uint8_t reply[ARP_END];

	await_frame();
	ck_assert_uint_eq(load_be16(last + 12), 0x0806);
	memcpy(reply, last + 6, TAP_MAC);
	memcpy(reply + 6, wire.guest_mac, TAP_MAC);
	memcpy(reply + 12, last + 12, 8);
	store_be16(reply + 20, 2);
	memcpy(reply + 22, wire.guest_mac, TAP_MAC);
	store_be32(reply + 28, GUEST);
	memcpy(reply + 32, last + 22, TAP_MAC);
	store_be32(reply + 38, HOST);
	tap_send(tap, none, reply, sizeof(reply));
}

static uint32_t sum_of(uint32_t sum, const uint8_t *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of a UDP message with its pseudo-header; all ones if its checksum is right. */
static uint16_t udp_sum(const uint8_t *frame)
{
	uint16_t length = load_be16(frame + UDP + 4);

	return fold(sum_of(sum_of(IPPROTO_UDP + length, frame + IP + 12, 8), frame + UDP, length));
}

/* Takes the next frame, a datagram of the host. Returns whether its checksum is right. */
static bool datagram_came(bool partial)
{
	await_frame();
	ck_assert_uint_eq(load_be16(last + 12), 0x0800);
	ck_assert_mem_eq(last, wire.guest_mac, TAP_MAC);
	ck_assert_uint_eq(load_be32(last + IP + 16), GUEST);
	ck_assert_uint_eq(header[0] & PARTIAL, partial);
	ck_assert_uint_eq(load_le16(header + 6), partial ? UDP : 0);
	ck_assert_uint_eq(load_le16(header + 8), partial ? CHECKSUM : 0);
	return udp_sum(last) == 0xffff;
}

START_TEST(the_kernel_leaves_what_was_agreed)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(GUEST)};
	int fd;

	if (!begin())
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_int_eq(send(fd, "one", 3, 0), 3);
	answer_arp();
	ck_assert(datagram_came(false));
	tap_set_offloads(tap, true, true, true);
	ck_assert_int_eq(send(fd, "two", 3, 0), 3);
	ck_assert(!datagram_came(true));
	/* Segments to be cut need partial checksums. */
	tap_set_offloads(tap, false, true, true);
	ck_assert_int_eq(send(fd, "three", 5, 0), 5);
	ck_assert(datagram_came(false));
	fd_close(&fd);
	end();
}
END_TEST

/* Sends a datagram to the host of which the checksum is that of the pseudo-header alone. */
static void send_datagram(uint16_t port, bool partial, uint16_t start)
{
	static const char text[] = "hello";
	uint8_t frame[UDP + 8 + sizeof(text)] = {0}, head[TAP_HEADER] = {partial ? PARTIAL : 0};

	memset(frame, 0xff, TAP_MAC);
	memcpy(frame + TAP_MAC, wire.guest_mac, TAP_MAC);
	store_be16(frame + 12, 0x0800);
	frame[IP] = 0x45;
	store_be16(frame + IP + 2, sizeof(frame) - IP);
	frame[IP + 8] = 64;
	frame[IP + 9] = IPPROTO_UDP;
	store_be32(frame + IP + 12, GUEST);
	store_be32(frame + IP + 16, HOST);
	store_be16(frame + IP + 10, (uint16_t)~fold(sum_of(0, frame + IP, 20)));
	store_be16(frame + UDP, 9);
	store_be16(frame + UDP + 2, port);
	store_be16(frame + UDP + 4, sizeof(frame) - UDP);
	store_be16(frame + UDP + CHECKSUM,
		   fold(sum_of(IPPROTO_UDP + sizeof(frame) - UDP, frame + IP + 12, 8)));
	memcpy(frame + UDP + 8, text, sizeof(text));
	store_le16(head + 6, start);
	store_le16(head + 8, CHECKSUM);
	tap_send(tap, head, frame, sizeof(frame));
}

START_TEST(the_kernel_completes_what_the_guest_leaves)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(HOST)};
	const struct timeval patience = {.tv_sec = 20};
	socklen_t size = sizeof(in);
	char got[16];
	uint16_t port;
	int fd;

	if (!begin())
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	port = ntohs(in.sin_port);
	/* Said to be complete it is wrong; the kernel refuses what lies outside of the frame. */
	send_datagram(port, false, 0);
	send_datagram(port, true, 2000);
	send_datagram(port, true, UDP);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 6);
	ck_assert_str_eq(got, "hello");
	ck_assert_int_lt(recv(fd, got, sizeof(got), MSG_DONTWAIT), 0);
	fd_close(&fd);
	end();
}
END_TEST

UNIT_MAIN("net_tap_interface", its_ipv6_address_is_found, an_interface_is_checked,
	  the_kernel_leaves_what_was_agreed, the_kernel_completes_what_the_guest_leaves)
