/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of sandboxes that have ended, for the verbs that show it. */
#ifndef CORDON_CLI_RECORDS_H
#define CORDON_CLI_RECORDS_H

#include <jansson.h>
#include <stdbool.h>

#include "vmm/control/record.h"

/* Appends an object for each sandbox that has ended, the oldest first. 0 or -errno. */
int records_append(json_t *list, struct err *err);

/* Prints the line of such an object. False: it is of a sandbox that runs. */
bool records_print(const json_t *item);

/* Whether its end is one that the user did not ask for. */
bool record_failed(const struct record_info *info);

#endif
