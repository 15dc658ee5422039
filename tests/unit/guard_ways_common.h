/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of guards in two processes share: a guard that decides, or one with a server. */
#ifndef CORDON_TEST_GUARD_WAYS_COMMON_H
#define CORDON_TEST_GUARD_WAYS_COMMON_H

#include "vmm/policy/audit.h"
#include "vmm/policy/guard_remote.h"

extern struct err why;
extern uint64_t clock_ns; /* of logs and servers */
extern const struct audit_budget plenty;

struct message {
	uint8_t *bytes;
	size_t length;
	struct message *next;
};

/* A monitor's guard, alone or with a server's. */
struct way {
	char directory[64], path[96];
	struct guard *monitor, *server; /* server NULL: the monitor decides */
	struct message *first, **last;	/* what the server has sent */
	enum policy_verdict verdict;	/* for wait() */
	unsigned reports, waits;
};

/* Some policy: one file or two, with and without shares of the command line. */
struct policy *policy_of(unsigned number);

/* A guard with that policy; budget NULL: without a log. */
void begin(struct way *way, struct policy *policy, const struct audit_budget *budget);

/* From now on a server decides. */
void add_server(struct way *way);

/* Gives the monitor what the server has sent. */
void deliver(struct way *way);

void end_guards(struct way *way);

void remove_log(const struct way *way);

/* The guard that decides. */
struct guard *decider(const struct way *way);

/* For guard_with_policy(): a copy for a server. arg: struct policy **. */
void copy_policy(void *arg, const struct policy *policy);

/* For a server that sends nothing. */
enum policy_verdict wait_verdict(void *arg, uint64_t ticket);

#endif
