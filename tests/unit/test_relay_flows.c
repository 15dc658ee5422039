/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's table of flows: keys, room, idle times. */
#include "tests/unit/relay_flows_common.h"

#include <netinet/in.h>

/* --- keys ------------------------------------------------------------------------------------- */

START_TEST(each_part_of_a_key_counts)
{
	struct relay_key key = key_of(1), other[6];
	struct item *made = add(1, RELAY_OPEN, 0);
	unsigned i;

	for (i = 0; i < 6; i++)
		other[i] = key;
	other[0].peer.bytes[3]++;
	other[1].peer.family = AF_INET6;
	other[2].guest_port++;
	other[3].peer_port++;
	other[4].protocol = IPPROTO_UDP;
	other[5].peer.bytes[15] = 1;
	for (i = 0; i < 6; i++)
		ck_assert_ptr_null(relay_flows_find(&flows, &other[i]));
	ck_assert_ptr_eq(relay_flows_find(&flows, &key), &made->flow);
	ck_assert_uint_eq(flows.count, 1);
	relay_flows_end(&flows, &made->flow, RELAY_CLOSED);
	ck_assert_ptr_null(relay_flows_find(&flows, &key));
	ck_assert_uint_eq(flows.count, 0);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(a_full_table_finds_each_flow)
{
	unsigned i;

	add_many(RELAY_FLOWS, RELAY_UDP);
	ck_assert_uint_eq(flows.count, RELAY_FLOWS);
	ck_assert_uint_eq(count_all(), RELAY_FLOWS);
	for (i = 0; i < RELAY_FLOWS; i++) {
		struct relay_key key = key_of(i);

		ck_assert_ptr_eq(relay_flows_find(&flows, &key), &item[i]->flow);
	}
	relay_flows_destroy(&flows);
	ck_assert_uint_eq(ends, RELAY_FLOWS);
	ck_assert_uint_eq(ended[RELAY_DROPPED], RELAY_FLOWS);
}
END_TEST

START_TEST(destroying_what_was_not_made_is_harmless)
{
	static struct relay_flows zeroed;

	relay_flows_destroy(&zeroed);
	relay_flows_destroy(&flows);
	relay_flows_destroy(&flows);
	ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(ends_have_names)
{
	ck_assert_str_eq(relay_end_text(RELAY_CLOSED), "closed");
	ck_assert_str_eq(relay_end_text(RELAY_EXPIRED), "expired");
	ck_assert_str_eq(relay_end_text(RELAY_EVICTED), "evicted");
	ck_assert_str_eq(relay_end_text(RELAY_REFUSED), "refused");
	ck_assert_str_eq(relay_end_text(RELAY_DROPPED), "dropped");
	ck_assert_str_eq(relay_end_text((enum relay_end)99), "unknown");
	relay_flows_destroy(&flows);
}
END_TEST

/* --- room and idle times ---------------------------------------------------------------------- */

START_TEST(the_lowest_class_makes_room_oldest_first)
{
	unsigned i;

	add(0, RELAY_UDP, 1);
	add(1, RELAY_OPENING, 2);
	add(2, RELAY_OPENING, 3);
	add(3, RELAY_CLOSING, 4);
	for (i = 4; i < RELAY_FLOWS; i++)
		add(i, RELAY_OPEN, 5);
	relay_flows_seen(&flows, &item[1]->flow, RELAY_OPENING, 6); /* now 2 is the oldest */
	ck_assert_uint_eq(ends, 0);
	add(RELAY_FLOWS, RELAY_OPEN, 7);
	ck_assert(!item[2] && item[1] && ends == 1 && last_end == RELAY_EVICTED);
	add(RELAY_FLOWS + 1, RELAY_OPEN, 7);
	ck_assert(!item[1] && item[3] && ends == 2);
	add(RELAY_FLOWS + 2, RELAY_OPEN, 7);
	ck_assert(!item[3] && item[0] && ends == 3);
	add(RELAY_FLOWS + 3, RELAY_OPEN, 7);
	ck_assert(!item[0] && ends == 4);
	ck_assert_uint_eq(flows.count, RELAY_FLOWS);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(open_connections_never_make_room)
{
	struct item *made = make(RELAY_FLOWS);

	add_many(RELAY_FLOWS, RELAY_OPEN);
	ck_assert(!relay_flows_add(&flows, &made->flow, RELAY_OPENING, SECOND));
	ck_assert_ptr_null(relay_flows_find(&flows, &made->flow.key));
	ck_assert_uint_eq(ends, 0);
	/* One less, and there is room. */
	relay_flows_end(&flows, &item[7]->flow, RELAY_CLOSED);
	item[RELAY_FLOWS] = made;
	ck_assert(relay_flows_add(&flows, &made->flow, RELAY_OPENING, SECOND));
	relay_flows_destroy(&flows);
}
END_TEST

static void check_idle(enum relay_class class, uint64_t seconds)
{
	add(class, class, 5 * SECOND);
	ck_assert_uint_eq(relay_flows_expire(&flows, (5 + seconds) * SECOND - 1, 9), 0);
	relay_flows_seen(&flows, &item[class]->flow, class, 6 * SECOND);
	ck_assert_uint_eq(relay_flows_expire(&flows, (5 + seconds) * SECOND, 9), 0);
	ck_assert_uint_eq(relay_flows_expire(&flows, (6 + seconds) * SECOND, 0), 0);
	ck_assert_uint_eq(relay_flows_expire(&flows, (6 + seconds) * SECOND, 9), 1);
	ck_assert(!item[class] && last_end == RELAY_EXPIRED);
}

START_TEST(each_class_has_its_idle_time)
{
	check_idle(RELAY_OPENING, 130);
	check_idle(RELAY_CLOSING, 60);
	check_idle(RELAY_ECHO, 30);
	check_idle(RELAY_UDP, 180);
	check_idle(RELAY_OPEN, 7800);
	ck_assert_uint_eq(flows.count, 0);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(a_class_can_change_and_its_time_with_it)
{
	add(0, RELAY_OPENING, 0);
	add(1, RELAY_OPENING, 0);
	relay_flows_seen(&flows, &item[0]->flow, RELAY_OPEN, SECOND);
	ck_assert_uint_eq(relay_flows_expire(&flows, 7800 * SECOND, 9), 1);
	ck_assert(item[0] && !item[1]);
	relay_flows_seen(&flows, &item[0]->flow, RELAY_CLOSING, 7800 * SECOND);
	ck_assert_uint_eq(relay_flows_expire(&flows, 7860 * SECOND, 9), 1);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(no_more_expire_than_are_asked_for)
{
	add_many(100, RELAY_ECHO);
	ck_assert_uint_eq(relay_flows_expire(&flows, 100 * SECOND, 30), 30);
	ck_assert_uint_eq(flows.count, 70);
	/* Those that the end of another has ended are not counted. */
	item[30]->with = 1 + 31;
	ck_assert_uint_eq(relay_flows_expire(&flows, 100 * SECOND, 1000), 69);
	ck_assert_uint_eq(flows.count, 0);
	ck_assert_uint_eq(ended[RELAY_EXPIRED], 99);
	relay_flows_destroy(&flows);
}
END_TEST

UNIT_MAIN_WITH(setup, "relay flows", each_part_of_a_key_counts, a_full_table_finds_each_flow,
	       destroying_what_was_not_made_is_harmless, ends_have_names,
	       the_lowest_class_makes_room_oldest_first, open_connections_never_make_room,
	       each_class_has_its_idle_time, a_class_can_change_and_its_time_with_it,
	       no_more_expire_than_are_asked_for)
