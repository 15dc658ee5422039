/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of objects that rules leave to a person: decisions for the sandbox's life, and
 * how often each object was asked about, allowed and denied.
 *
 * A key is the rule that matches just the object (policy_request_rule()). The guest chooses
 * objects, so both tables are bounded: a new decision replaces the oldest, a new object the one
 * that was not seen for longest.
 */
#ifndef CORDON_SANDBOX_APPROVAL_MEMORY_H
#define CORDON_SANDBOX_APPROVAL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define APPROVAL_DECISIONS 256
#define APPROVAL_OBJECTS   256

struct approval_memory;

struct approval_history {
	uint32_t asked, allowed, denied;
	uint32_t unattended; /* of denied: no operator or command decided */
	uint32_t proposed;   /* with `on-ask deny`: in the log */
};

enum approval_event {
	APPROVAL_ASKED,
	APPROVAL_ALLOWED,
	APPROVAL_DENIED,
	APPROVAL_UNATTENDED, /* denied as no operator or command decided */
	APPROVAL_PROPOSED
};

/* NULL: out of memory. */
struct approval_memory *approval_memory_create(void);
void approval_memory_destroy(struct approval_memory *memory);

/* The last decision counts. Out of memory, it is not remembered: a person is asked again. */
void approval_memory_decide(struct approval_memory *memory, const char *key, bool yes);

/* 1 approval, 0 refusal, -1 none. */
int approval_memory_decision(const struct approval_memory *memory, const char *key);

void approval_memory_count(struct approval_memory *memory, const char *key,
			   enum approval_event event);

/* All 0 for an object that is not in the table. */
struct approval_history approval_memory_history(const struct approval_memory *memory,
						const char *key);

#endif
