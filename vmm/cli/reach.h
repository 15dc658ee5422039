/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule would change in a running sandbox, before it is added. */
#ifndef CORDON_CLI_REACH_H
#define CORDON_CLI_REACH_H

#include <stdbool.h>

#include "vmm/base/err.h"

/*
 * Prints the rule, the nearest broader and narrower ones, and which decisions of the sandbox's
 * audit log it would have made otherwise, the first REACH_SHOWN and their number. 0; or -errno with
 * a message, also of a rule that can't be added.
 */
#define REACH_SHOWN 10
int reach_print(const char *name, const char *line, bool json, struct err *err);

#endif
