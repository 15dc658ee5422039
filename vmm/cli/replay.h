/* SPDX-License-Identifier: Apache-2.0 */
/* Decides again what a log has: which decisions would another policy make differently? */
#ifndef CORDON_CLI_REPLAY_H
#define CORDON_CLI_REPLAY_H

#include <jansson.h>

#include "vmm/base/err.h"
#include "vmm/policy/policy.h"

struct replay {
	const struct policy *policy;
	/* Leaves out what this policy decides as the other one does; NULL: nothing. */
	const struct policy *before;
	/* What to do with the first `most` differences: append them to a list, or print a line. */
	json_t *list; /* NULL: print */
	const char *indent;
	unsigned long most;
	/* The outcome. unknown: objects that the log has only in part. */
	unsigned long decisions, different, unknown;
};

/* path: of the log. 0 or -errno with a message. */
int replay_log(struct replay *replay, const char *path, struct err *err);

#endif
