/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_flows_common.h"

#include <netinet/in.h>
#include <stdlib.h>

struct relay_flows flows;

struct item *item[RELAY_FLOWS + 8];
unsigned ended[RELAY_DROPPED + 1], ends, ticks, judged;
unsigned tick_order[RELAY_FLOWS + 8];
enum relay_end last_end;

static void end_other(struct item *of)
{
	struct item *with = of->with > 0 ? item[of->with - 1] : NULL;

	of->with = 0;
	if (with)
		relay_flows_end(&flows, &with->flow, RELAY_CLOSED);
}

static void on_end(struct relay_flow *flow, enum relay_end why)
{
	struct item *of = (struct item *)flow;

	ck_assert_ptr_eq(item[of->number], of);
	item[of->number] = NULL;
	ends++;
	ended[why]++;
	last_end = why;
	ck_assert_ptr_null(relay_flows_find(&flows, &flow->key));
	if (of->again_end)
		relay_flows_end(&flows, flow, RELAY_CLOSED);
	end_other(of);
	if (of->judge)
		relay_flows_policy_changed(&flows);
	free(of);
}

static bool on_judge(struct relay_flow *flow)
{
	judged++;
	return !((struct item *)flow)->denied;
}

static void on_tick(struct relay_flow *flow, uint64_t now_ns)
{
	struct item *of = (struct item *)flow;

	(void)now_ns;
	tick_order[ticks++] = of->number;
	if (of->again)
		relay_flows_deadline(&flows, flow, 0);
	end_other(of);
	if (of->last)
		relay_flows_end(&flows, flow, RELAY_CLOSED);
}

const struct relay_flow_ops all_ops = {.end = on_end, .still_allowed = on_judge, .tick = on_tick};
const struct relay_flow_ops no_tick_ops = {.end = on_end, .still_allowed = on_judge};

void setup(void)
{
	memset(ended, 0, sizeof(ended));
	memset(item, 0, sizeof(item));
	ends = ticks = judged = 0;
	ck_assert_int_eq(relay_flows_init(&flows), 0);
}

struct relay_key key_of(unsigned number)
{
	return (struct relay_key){.peer = ip_from4(0xc6336401),
				  .guest_port = (uint16_t)(1 + number / 60000),
				  .peer_port = (uint16_t)(1 + number % 60000),
				  .protocol = IPPROTO_TCP};
}

struct item *make(unsigned number)
{
	struct item *made = calloc(1, sizeof(*made));

	ck_assert_ptr_nonnull(made);
	/* Whatever the owner leaves in the private fields. */
	memset(&made->flow, 0xa5, sizeof(made->flow));
	made->flow.ops = &all_ops;
	made->flow.key = key_of(number);
	made->number = number;
	return made;
}

struct item *add(unsigned number, enum relay_class class, uint64_t now_ns)
{
	struct item *made = make(number);

	item[number] = made;
	ck_assert(relay_flows_add(&flows, &made->flow, class, now_ns));
	return made;
}

void add_many(unsigned count, enum relay_class class)
{
	unsigned i;

	for (i = 0; i < count; i++)
		add(i, class, SECOND);
}

unsigned count_all(void)
{
	struct relay_flow *flow;
	unsigned count = 0;

	for (flow = relay_flows_after(&flows, NULL); flow; flow = relay_flows_after(&flows, flow))
		count++;
	return count;
}
