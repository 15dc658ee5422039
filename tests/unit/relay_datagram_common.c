/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_datagram_common.h"

#include <dirent.h>
#include <sys/socket.h>

#include "tests/unit/relay_guest_common.h"
#include "tests/unit/relay_peers_common.h"

struct ip_address target;
uint16_t port, from;
int peer;

unsigned descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

void begin_with(unsigned family)
{
	port = 0;
	target = ip_own(family, IP_OWN_HOST);
	peer = peer_open(family, SOCK_DGRAM, &port);
}

void open_with(unsigned family)
{
	begin_with(family);
	guest_sends(&target, port, "hello", 5);
	host_verdict(true, false);
	peer_reads_text(peer, "hello", &from);
}

struct exchange *flow(void)
{
	return host_flow(&target, GUEST_PORT, port, IPPROTO_UDP);
}
