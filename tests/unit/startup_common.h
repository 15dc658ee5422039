/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of start-up: a sandbox without a machine, whose agent is a fake. */
#ifndef CORDON_TEST_STARTUP_COMMON_H
#define CORDON_TEST_STARTUP_COMMON_H

#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"

/* An agent in memory: replies to each request, and notes what it got. */
struct fake {
	struct sandbox sandbox; /* first: what steps and ops get */
	struct loop *loop;
	struct share_link link[2];
	uint8_t in[4096];
	size_t in_length, in_at;
	char log[512];
	uint16_t fails, silent; /* to requests of this type: an error, or no reply */
	uint32_t error;
	uint32_t features; /* of the agent */
	uint32_t processes, open_files, cpu_millis,
		memory_without; /* of the last request for limits */
	bool closed;
	unsigned done;
	char failed[256];
};

/* Everything that start-up can set up without a network card: a root, two shares and so on. */
struct fake *fake_create(void);
void fake_destroy(struct fake *fake);

/* The agent connects and greets; then everything that follows without a wait. */
void fake_connect(struct fake *fake);

struct policy *policy_of(const char *text);

#endif
