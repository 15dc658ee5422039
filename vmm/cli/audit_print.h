/* SPDX-License-Identifier: Apache-2.0 */
/* One line of an audit log as text. */
#ifndef CORDON_CLI_AUDIT_PRINT_H
#define CORDON_CLI_AUDIT_PRINT_H

#include <jansson.h>

#include "vmm/cli/audit_log.h"

/* Prints the line to stdout. Control characters of the guest are escaped on a terminal. */
void audit_print_entry(const struct audit_entry *entry, const json_t *json);

#endif
