/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_packet_common.h"

const unsigned families[PACKET_FAMILIES] = {AF_INET, AF_INET6};

uint8_t bytes[PACKET_FRAME_MAX + 64];
struct packet packet;

enum packet_verdict parse(size_t length)
{
	return packet_parse(bytes, length, false, &packet);
}

size_t up(unsigned family)
{
	return family == AF_INET ? AT_IPV4_UP : AT_IPV6_UP;
}

size_t tcp(unsigned family)
{
	struct relay_ends_text path = relay_path(family);

	return relay_frame_tcp(bytes, path.source, path.target, TCP_ACK | TCP_PSH, "hello", 5);
}

size_t udp(unsigned family)
{
	struct relay_ends_text path = relay_path(family);

	return relay_frame_udp(bytes, path.source, path.target, "hello", 5);
}
