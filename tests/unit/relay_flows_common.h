/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of the relay's flows, each of which is allocated by itself and freed by its end(): so
 * under ASan a table that touches one afterwards is found.
 */
#ifndef CORDON_TEST_RELAY_FLOWS_COMMON_H
#define CORDON_TEST_RELAY_FLOWS_COMMON_H

#include "tests/support/unit.h"
#include "vmm/relay/flows.h"

#define SECOND UINT64_C(1000000000)

/* What a flow does, and what was done to it. */
struct item {
	struct relay_flow flow;
	unsigned number;
	bool denied;	/* by still_allowed() */
	unsigned with;	/* number of the one that its end() or tick() ends, from 1; 0: none */
	bool again;	/* tick() sets a deadline that has come already */
	bool again_end; /* end() ends it once more */
	bool last;	/* tick() ends it */
	bool judge;	/* end() judges all flows by the policy once more */
};

extern struct relay_flows flows;
extern struct item *item[RELAY_FLOWS + 8];   /* NULL: ended */
extern unsigned ended[RELAY_DROPPED + 1];    /* by reason */
extern unsigned ends, ticks, judged;	     /* calls */
extern unsigned tick_order[RELAY_FLOWS + 8]; /* numbers */
extern enum relay_end last_end;
extern const struct relay_flow_ops no_tick_ops, all_ops;

void setup(void);
struct relay_key key_of(unsigned number);

/* A flow that is not in the table. */
struct item *make(unsigned number);

struct item *add(unsigned number, enum relay_class class, uint64_t now_ns);

/* The first ones, all last seen at 1 s. */
void add_many(unsigned count, enum relay_class class);

/* Of the flows that the table iterates over. */
unsigned count_all(void);

#endif
