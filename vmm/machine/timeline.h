/* SPDX-License-Identifier: Apache-2.0 */
/* When the steps of a start happened, in nanoseconds of CLOCK_MONOTONIC. */
#ifndef CORDON_MACHINE_TIMELINE_H
#define CORDON_MACHINE_TIMELINE_H

#include <stdint.h>

enum timeline_mark {
	TIMELINE_EXEC,	    /* the process began main() */
	TIMELINE_VM,	    /* VM and vCPUs are there */
	TIMELINE_LOADED,    /* kernel and initramfs are in memory */
	TIMELINE_STARTED,   /* the vCPUs run */
	TIMELINE_CONNECTED, /* the agent has connected */
	TIMELINE_READY,	    /* the agent has said hello */
	TIMELINE_TEMPLATE,  /* a template of the machine was written */
	TIMELINE_COMMAND,   /* the command has started */
	TIMELINE_OUTPUT,    /* the first output of it came */
	TIMELINE_EXITED,    /* the command has ended */
	TIMELINE_MARKS,
};

struct timeline {
	uint64_t at[TIMELINE_MARKS]; /* 0: not reached */
};

/* Notes the first time that a mark is reached. */
void timeline_mark(struct timeline *timeline, enum timeline_mark mark);

/* Prints the marks reached to stderr, with the time since the one before and since the first. */
void timeline_print(const struct timeline *timeline);

#endif
