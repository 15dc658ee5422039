/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who wants the guest to stand still, and why. Its vCPUs are outside the guest as long as one
 * reason holds; they go on once the last is released.
 */
#ifndef CORDON_SANDBOX_PAUSE_H
#define CORDON_SANDBOX_PAUSE_H

#include <stdbool.h>

struct sandbox;

enum pause_reason {
	PAUSE_OPERATOR, /* `cordon pause` */
	PAUSE_SNAPSHOT, /* while a snapshot is written */
	PAUSE_FREEZE,	/* while a person decides */
	PAUSE_IDLE,	/* until the next command: none has run for the idle time */
	PAUSE_REASONS
};

/* Zeros and the sandbox at first. */
struct pause {
	struct sandbox *sandbox;
	struct {
		bool held;
		void (*done)(void *arg); /* NULL: called already */
		void *arg;
	} hold[PAUSE_REASONS];
	bool reached; /* all vCPUs have left the guest */
	bool ended;
};

/*
 * Calls done once all vCPUs stand still, from the loop or, if they do already, at once; unless the
 * reason is released first or the machine ends. 0; -EALREADY: the reason holds already; -EBUSY: the
 * machine is ending, or saves a template.
 */
int pause_hold(struct pause *pause, enum pause_reason reason, void (*done)(void *arg), void *arg);

/* No effect if the reason does not hold. When the guest goes on, its clock is set. */
void pause_release(struct pause *pause, enum pause_reason reason);

/* Releases all reasons, for good: a guest that stands still could not shut down. */
void pause_end(struct pause *pause);

/* Whether the reason holds and the vCPUs stand still. */
bool pause_reached(const struct pause *pause, enum pause_reason reason);

#endif
