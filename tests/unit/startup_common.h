/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of startup share. */
#ifndef CORDON_TEST_STARTUP_COMMON_H
#define CORDON_TEST_STARTUP_COMMON_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/log.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/sandbox/share_session.h"

enum { FIRST, SECOND, THIRD, STEPS };

struct world {
	struct startup startup;
	char log[256]; /* what happened, in order */
	struct agent_reply reply[STEPS];
	int request[STEPS];  /* what request() returns */
	int answered[STEPS]; /* what answered() returns */
	unsigned done, failed, warned;
};

void note(struct world *world, const char *fmt, int number, const char *text);

extern const struct startup_step steps[STEPS];

#endif
