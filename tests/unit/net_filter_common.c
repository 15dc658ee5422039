/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net_filter_common.h"

bool heard(uint32_t target, uint16_t port, const void *data, size_t length)
{
	bool passed;

	forget_output();
	ck_assert(connects(target, port));
	say(target, port, data, 0, length, 0);
	passed = said_length > 0;
	if (!passed) {
		ck_assert(guest_got.frame.tcp_flags & TCP_RST);
		ck_assert(peer_got.frame.tcp_flags & TCP_RST);
		ck_assert_uint_eq(peer_got.frame.sequence, 1001);
		ck_assert_uint_eq(stats_of_filter().flows, 0);
		ck_assert_uint_eq(stats_of_filter().peeks, 0);
	}
	return passed;
}
