/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions that become rules: `always` and `never`, for every verb that takes decisions. */
#ifndef CORDON_CLI_DECISION_H
#define CORDON_CLI_DECISION_H

#include <jansson.h>
#include <stdbool.h>

#include "vmm/base/err.h"

struct decision {
	const char *sandbox;
	const json_t *question; /* as the monitor describes it */
	const char *word;	/* "always", "never" */
	bool save;		/* also into the policy file */
	bool json;
};

/* The rule that the decision becomes; NULL: none, it is only an answer. */
const char *decision_rule(const json_t *question, const char *word);

/* Prints the reach of the rule. 0; or -errno with a message, also if it can't be added. */
int decision_show(const struct decision *decision, struct err *err);

/*
 * Answers the question, adds the rule to the sandbox's policy, and saves it; prints where it is. 0
 * or -errno with a message; -EREMOTE: the question is not open any longer, and nothing was changed.
 */
int decision_make(const struct decision *decision, struct err *err);

#endif
