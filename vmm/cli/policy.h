/* SPDX-License-Identifier: Apache-2.0 */
/* The subverbs of `cordon policy`. */
#ifndef CORDON_CLI_POLICY_H
#define CORDON_CLI_POLICY_H

#include "vmm/launch/options.h"

/*
 * argv[0] is the subverb. They print to stdout. 0 or 1 (see the manual), or -errno with a message.
 */
int policy_check(int argc, char **argv, struct err *err);
int policy_explain_verb(int argc, char **argv, struct err *err);
int policy_learn(int argc, char **argv, struct err *err);
int policy_replay(int argc, char **argv, struct err *err);
int policy_add(int argc, char **argv, struct err *err);
int policy_undo(int argc, char **argv, struct err *err);

/* The options of `cordon policy check` alone, and of `cordon policy add`. */
extern const struct option_table policy_check_option_table, policy_add_option_table;

#endif
