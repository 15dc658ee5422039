/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net_ask_common.h"

const struct rule asks[] = {
	{.protocol = FILTER_TCP, .address = NET_PEER, .port = 80},
	{.protocol = FILTER_TCP, .address = NET_PEER, .port = 22, .ask = true},
	{.protocol = FILTER_UDP, .address = NET_PEER, .port = 123, .ask = true},
	{.protocol = FILTER_ICMP, .address = NET_PEER, .ask = true},
	{.protocol = FILTER_TCP, .name = "api.example.com", .port = 22, .ask = true},
	{.protocol = FILTER_TLS, .name = "tls.example.com", .port = 443},
	{.protocol = FILTER_TLS, .name = "other.example.com", .port = 443, .ask = true},
	{.protocol = FILTER_TLS, .port = 8443, .ask = true},
	{.protocol = FILTER_HTTP, .name = "tls.example.com", .port = 8000, .ask = true},
};

void knock(uint16_t port, uint16_t from)
{
	struct net_segment segment = out_segment(NET_PEER, port);

	segment.source_port = from;
	send_tcp(segment);
}

void answer(enum filter_answer what)
{
	filter_answered(filter, (uint32_t)questions, what, now);
}

bool was_reset(void)
{
	return guest_got.count > 0 && guest_got.frame.kind == FRAME_IS_TCP &&
	       (guest_got.frame.tcp_flags & TCP_RST);
}
