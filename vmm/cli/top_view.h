/* SPDX-License-Identifier: Apache-2.0 */
/* The data of `cordon top`: what the monitors of sandboxes say, and what has changed since. */
#ifndef CORDON_CLI_TOP_VIEW_H
#define CORDON_CLI_TOP_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/cli/top_log.h"

struct top_view {
	const char *name; /* NULL: all sandboxes */
	bool counters;	  /* of one sandbox: `counters` in place of processes and the log */
	/*
	 * Waits until fd can be read, at most until the deadline (as loop_now_ns()); fd -1: only
	 * until the deadline. 1; 0: the time is over; -EINTR: the user has ended it.
	 */
	int (*wait)(void *arg, int fd, uint64_t deadline_ns);
	void *arg;
	/* private */
	int fd; /* of the one sandbox */
	json_int_t round;
	struct top_log log;
	json_t *before; /* the last data; NULL: none yet */
};

/* Connects. 0 or -errno with a message (-ESRCH: there is no such sandbox). */
int top_view_open(struct top_view *view, struct err *err);
void top_view_close(struct top_view *view);

/*
 * Requests the data of a page. 0 with *data, which the caller releases; -EPIPE: the sandbox has
 * ended; -EINTR; or another -errno, with a message but for -EINTR.
 */
int top_view_read(struct top_view *view, json_t **data, struct err *err);

/*
 * Adds `cpu_percent` to each sandbox and process: processor time since `before` (NULL: since their
 * start), and sorts by it. Adds `memory_percent`, of what the sandbox may have. Without a list of
 * processes it takes that of `before`.
 */
void top_view_compare(json_t *data, const json_t *before);

#endif
