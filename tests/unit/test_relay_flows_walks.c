/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's table of flows: deadlines, and walks during which flows end. */
#include "tests/unit/relay_flows_common.h"

/* --- deadlines -------------------------------------------------------------------------------- */

START_TEST(deadlines_come_in_order)
{
	static const unsigned at[] = {50, 20, 40, 10, 30};
	unsigned i;

	ck_assert_uint_eq(relay_flows_next_deadline(&flows), RELAY_NEVER);
	add_many(6, RELAY_OPEN);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), RELAY_NEVER);
	for (i = 0; i < 5; i++)
		relay_flows_deadline(&flows, &item[i]->flow, at[i]);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 10);
	ck_assert_uint_eq(relay_flows_tick(&flows, 9, 9), 0);
	ck_assert_uint_eq(relay_flows_tick(&flows, 40, 9), 4);
	ck_assert(tick_order[0] == 3 && tick_order[1] == 1 && tick_order[2] == 4 &&
		  tick_order[3] == 2);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 50);
	relay_flows_deadline(&flows, &item[0]->flow, RELAY_NEVER);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), RELAY_NEVER);
	ck_assert_uint_eq(relay_flows_tick(&flows, 1000, 9), 0);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(deadlines_change_both_ways)
{
	add_many(3, RELAY_OPEN);
	relay_flows_deadline(&flows, &item[0]->flow, 100);
	relay_flows_deadline(&flows, &item[1]->flow, 200);
	relay_flows_deadline(&flows, &item[2]->flow, 300);
	relay_flows_deadline(&flows, &item[2]->flow, 50);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 50);
	relay_flows_deadline(&flows, &item[2]->flow, 150);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 100);
	relay_flows_end(&flows, &item[0]->flow, RELAY_CLOSED);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 150);
	relay_flows_deadline(&flows, &item[2]->flow, 500);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 200);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(a_flow_without_tick_sets_no_deadline)
{
	struct item *made = add(0, RELAY_OPEN, 0);

	made->flow.ops = &no_tick_ops;
	relay_flows_deadline(&flows, &made->flow, 5);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), RELAY_NEVER);
	made->flow.ops = &all_ops;
	relay_flows_deadline(&flows, &made->flow, 5);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 5);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(a_flow_is_called_once_though_it_is_due_again)
{
	unsigned i;

	add_many(10, RELAY_OPEN);
	for (i = 0; i < 10; i++) {
		item[i]->again = i < 5;
		relay_flows_deadline(&flows, &item[i]->flow, i);
	}
	ck_assert_uint_eq(relay_flows_tick(&flows, 100, 1000), 10);
	ck_assert(relay_flows_next_deadline(&flows) > 100);
	ck_assert_uint_eq(relay_flows_tick(&flows, 101, 1000), 5);
	/* Outside of a call any time can be set. */
	relay_flows_deadline(&flows, &item[9]->flow, 3);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), 3);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(no_flow_is_passed_over_by_the_limit)
{
	unsigned i, called[8] = {0};

	add_many(8, RELAY_OPEN);
	for (i = 0; i < 8; i++) {
		item[i]->again = true;
		relay_flows_deadline(&flows, &item[i]->flow, 1);
	}
	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(relay_flows_tick(&flows, 100 + i, 3), 3);
	for (i = 0; i < ticks; i++)
		called[tick_order[i]]++;
	for (i = 0; i < 8; i++)
		ck_assert(called[i] >= 2 && called[i] <= 4);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(a_tick_ends_its_flow_and_others)
{
	unsigned i;

	add_many(6, RELAY_OPEN);
	for (i = 0; i < 6; i++)
		relay_flows_deadline(&flows, &item[i]->flow, i);
	item[0]->last = true;
	item[1]->with = 1 + 2; /* due next */
	item[3]->with = 1 + 5;
	item[3]->last = true;
	ck_assert_uint_eq(relay_flows_tick(&flows, 10, 100), 4);
	ck_assert(!item[0] && item[1] && !item[2] && !item[3] && item[4] && !item[5]);
	ck_assert_uint_eq(flows.count, 2);
	ck_assert_uint_eq(relay_flows_next_deadline(&flows), RELAY_NEVER);
	relay_flows_destroy(&flows);
}
END_TEST

/* Against a plain array: earliest deadline after each of many random changes. */
START_TEST(the_heap_agrees_with_a_model)
{
	static uint64_t model[64];
	uint64_t least;
	unsigned step, i, at;

	srandom(7);
	for (i = 0; i < 64; i++)
		model[i] = RELAY_NEVER;
	for (step = 0; step < 20000; step++) {
		at = (unsigned)random() % 64;
		if (!item[at]) {
			add(at, RELAY_OPEN, step);
		} else if (random() % 8 == 0) {
			relay_flows_end(&flows, &item[at]->flow, RELAY_CLOSED);
			model[at] = RELAY_NEVER;
		} else {
			model[at] = random() % 5 ? (uint64_t)(random() % 100) : RELAY_NEVER;
			relay_flows_deadline(&flows, &item[at]->flow, model[at]);
		}
		least = RELAY_NEVER;
		for (i = 0; i < 64; i++)
			least = min_u64(least, model[i]);
		ck_assert_uint_eq(relay_flows_next_deadline(&flows), least);
		for (i = 2; i <= flows.heap_count; i++)
			ck_assert(flows.heap[i]->deadline_ns >= flows.heap[i / 2]->deadline_ns);
	}
	relay_flows_destroy(&flows);
}
END_TEST

/* --- walks ------------------------------------------------------------------------------------ */

START_TEST(a_flow_can_be_ended_on_the_way)
{
	struct relay_flow *flow, *next;
	unsigned seen = 0;

	add_many(1000, RELAY_UDP);
	for (flow = relay_flows_after(&flows, NULL); flow; flow = next) {
		next = relay_flows_after(&flows, flow);
		/* Neither does this change the order. */
		relay_flows_seen(&flows, flow, RELAY_OPEN, 2 * SECOND);
		if (++seen % 2)
			relay_flows_end(&flows, flow, RELAY_CLOSED);
	}
	ck_assert_uint_eq(seen, 1000);
	ck_assert_uint_eq(count_all(), 500);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(all_end_though_their_ends_end_others)
{
	unsigned i;

	add_many(2000, RELAY_OPEN);
	for (i = 0; i < 2000; i++)
		item[i]->with = 1 + (i * 7 + 3) % 2000;
	relay_flows_end_all(&flows, RELAY_DROPPED);
	ck_assert_uint_eq(ends, 2000);
	ck_assert_uint_eq(flows.count, 0);
	ck_assert_uint_eq(count_all(), 0);
	/* The table goes on. */
	add(0, RELAY_OPEN, 0);
	ck_assert_uint_eq(count_all(), 1);
	relay_flows_destroy(&flows);
}
END_TEST

/* Each flow in the order of the walk, every n-th of which ends the next one with it. */
static void end_next(unsigned n)
{
	struct relay_flow *flow, *next;
	unsigned i = 0;

	for (flow = relay_flows_after(&flows, NULL); flow; flow = next, i++) {
		next = relay_flows_after(&flows, flow);
		if (next && i % n == 0)
			((struct item *)flow)->with = 1 + ((struct item *)next)->number;
	}
}

START_TEST(a_walk_within_a_walk_goes_on)
{
	add_many(100, RELAY_OPEN);
	end_next(2);
	((struct item *)relay_flows_after(&flows, NULL))->judge = true;
	relay_flows_end_all(&flows, RELAY_DROPPED);
	ck_assert(ends == 100 && flows.count == 0);
	ck_assert_uint_eq(judged, 98);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(an_end_within_its_own_end_does_nothing)
{
	add_many(2, RELAY_OPEN);
	item[0]->again_end = true;
	relay_flows_end(&flows, &item[0]->flow, RELAY_REFUSED);
	ck_assert_uint_eq(ends, 1);
	ck_assert_uint_eq(ended[RELAY_REFUSED], 1);
	ck_assert_uint_eq(flows.count, 1);
	relay_flows_destroy(&flows);
}
END_TEST

START_TEST(a_new_policy_ends_what_it_denies)
{
	unsigned i;

	add_many(3000, RELAY_OPEN);
	for (i = 0; i < 3000; i++)
		item[i]->denied = i % 3 == 0;
	relay_flows_policy_changed(&flows);
	ck_assert_uint_eq(judged, 3000);
	ck_assert_uint_eq(ended[RELAY_DROPPED], 1000);
	for (i = 0; i < 3000; i++)
		ck_assert(!!item[i] == (i % 3 != 0));
	relay_flows_policy_changed(&flows);
	ck_assert_uint_eq(ends, 1000);
	relay_flows_destroy(&flows);
}
END_TEST

/* Flows end the next one of the walk with them; all that remain must have been judged. */
START_TEST(a_new_policy_judges_all_whatever_ends_meanwhile)
{
	unsigned i;

	add_many(3000, RELAY_OPEN);
	for (i = 0; i < 3000; i++)
		item[i]->denied = i % 2;
	end_next(3);
	item[1]->judge = true;
	item[1001]->judge = true;
	relay_flows_policy_changed(&flows);
	for (i = 1; i < 3000; i += 2)
		ck_assert_ptr_null(item[i]);
	ck_assert_uint_eq(flows.count, count_all());
	ck_assert_uint_gt(flows.count, 100);
	relay_flows_destroy(&flows);
}
END_TEST

UNIT_MAIN_WITH(setup, "relay flows, deadlines and walks", deadlines_come_in_order,
	       deadlines_change_both_ways, a_flow_without_tick_sets_no_deadline,
	       a_flow_is_called_once_though_it_is_due_again, no_flow_is_passed_over_by_the_limit,
	       a_tick_ends_its_flow_and_others, the_heap_agrees_with_a_model,
	       a_flow_can_be_ended_on_the_way, all_end_though_their_ends_end_others,
	       a_walk_within_a_walk_goes_on, an_end_within_its_own_end_does_nothing,
	       a_new_policy_ends_what_it_denies, a_new_policy_judges_all_whatever_ends_meanwhile)
