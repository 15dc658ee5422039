/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken from a resolv.conf. */
#include <netinet/in.h>

#include "tests/support/unit.h"
#include "vmm/net/address.h"
#include "vmm/net/resolver.h"

START_TEST(servers_are_read)
{
	static const char text[] = "nameserver 1.2.3.4\n"
				   " nameserver 9.9.9.9\n"
				   "nameserver\t::1;x\n"
				   "nameserver 1.2.3\n"
				   "nameservers 8.8.8.8\n"
				   "nameserver 5.6.7.8\r\n"
				   "nameserver 4.4.4.4";
	struct resolver_servers servers;

	resolver_parse(text, sizeof(text) - 1, 53, &servers);
	ck_assert_uint_eq(servers.count, 3);
	ck_assert_int_eq(servers.address[0].ss_family, AF_INET);
	ck_assert_int_eq(servers.address[1].ss_family, AF_INET6);
	ck_assert_uint_eq(ntohl(((struct sockaddr_in *)&servers.address[2])->sin_addr.s_addr),
			  ADDRESS(5, 6, 7, 8));
	ck_assert_uint_eq(ntohs(((struct sockaddr_in *)&servers.address[2])->sin_port), 53);
	resolver_parse(text, 0, 53, &servers);
	ck_assert_uint_eq(servers.count, 0);
}
END_TEST

UNIT_MAIN("net_resolv_conf", servers_are_read)
