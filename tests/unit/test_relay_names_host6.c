/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the host has IPv6: in a network namespace of the test's own (each test is a process). */
#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/relay/names.h"

/* linux/ipv6.h has it too, but conflicts with netinet/in.h. */
struct interface_address {
	struct in6_addr address;
	uint32_t prefix;
	int interface;
};

static bool enter_network(void)
{
	if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) == 0)
		return true;
	printf("skip relay_names_host6: no network namespace can be made here\n");
	return false;
}

/* Gives the loopback interface a public address, and the default route. */
static bool add_route(void)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct interface_address address = {.prefix = 64};
	struct in6_rtmsg route = {.rtmsg_flags = RTF_UP, .rtmsg_metric = 1};
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool done;

	if (fd < 0)
		return false;
	address.interface = route.rtmsg_ifindex = (int)if_nametoindex("lo");
	ck_assert_int_eq(inet_pton(AF_INET6, "2a00:1450::2", &address.address), 1);
	done = ioctl(fd, SIOCSIFFLAGS, &up) == 0 && ioctl(fd, SIOCSIFADDR, &address) == 0 &&
	       ioctl(fd, SIOCADDRT, &route) == 0;
	close(fd);
	return done;
}

START_TEST(a_host_has_ipv6_if_it_has_a_route)
{
	if (!enter_network())
		return;
	ck_assert(!names_host_has6());
	if (!add_route()) {
		printf("skip relay_names_host6: this kernel has no IPv6\n");
		return;
	}
	ck_assert(names_host_has6());
}
END_TEST

UNIT_MAIN("relay_names_host6", a_host_has_ipv6_if_it_has_a_route)
