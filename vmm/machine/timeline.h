/* SPDX-License-Identifier: Apache-2.0 */
/* When the steps of a start happened, in nanoseconds of CLOCK_MONOTONIC. */
#ifndef CORDON_MACHINE_TIMELINE_H
#define CORDON_MACHINE_TIMELINE_H

#include <stdint.h>

enum timeline_mark {
	TIMELINE_EXEC,	    /* the process began main() */
	TIMELINE_VM,	    /* VM and vCPUs exist */
	TIMELINE_LOADED,    /* kernel and initramfs are in memory */
	TIMELINE_STARTED,   /* the vCPUs run */
	TIMELINE_DRIVERS,   /* the guest's kernel drives its devices */
	TIMELINE_CONNECTED, /* the agent has connected */
	TIMELINE_READY,	    /* the agent has sent its greeting */
	TIMELINE_TEMPLATE,  /* a template of the machine was written */
	TIMELINE_COMMAND,   /* the command has started */
	TIMELINE_OUTPUT,    /* its first output has come */
	TIMELINE_EXITED,    /* the command has ended */
	TIMELINE_MARKS,
};

struct timeline {
	uint64_t at[TIMELINE_MARKS]; /* 0: not reached */
};

/* Records when a mark is first reached. */
void timeline_mark(struct timeline *timeline, enum timeline_mark mark);

/* Prints the marks reached to stderr, with the times since the previous and since the first one. */
void timeline_print(const struct timeline *timeline);

#endif
