/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for verdicts, with a guard, its log, and an operator; and the verdicts. */
#ifndef CORDON_TEST_NETWORK_CHECKS_COMMON_H
#define CORDON_TEST_NETWORK_CHECKS_COMMON_H

#include "tests/support/audit_log.h"
#include "tests/support/fake_relay.h"
#include "tests/support/unit.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network_checks.h"

#define ASKS "policy 1\nnet allow tcp *:1\nnet deny tcp *:2\nnet ask tcp *:*\n"

struct verdicts {
	unsigned count;
	/* the last one */
	uint32_t ticket;
	bool allowed, approved;
};

extern struct guard *guard;
extern struct approvals *questions;
extern struct network_checks checks;
extern struct verdicts verdicts;
extern bool published; /* TCP port 80 of the guest */

struct policy *parse(const char *text);

/* With a policy; attended: an operator is attached. */
void begin(const char *text, bool attended);
void end(void);

/* Takes a request of the relay: TCP to 93.184.216.34 and a port. */
void take(uint32_t ticket, uint16_t port);

/* There were so many verdicts, the last one of which is this. */
void expect(unsigned count, uint32_t ticket, bool allowed, bool approved);

unsigned open_questions(void);

/* The operator's decision on the only open question. */
void reply(enum approval_reply answer);

#endif
