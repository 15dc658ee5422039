/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the audit log share: a log in a directory of its own, and its check. */
#ifndef CORDON_TESTS_AUDIT_LOG_H
#define CORDON_TESTS_AUDIT_LOG_H

#include "vmm/policy/audit.h"

extern char audit_folder[64], audit_log_path[96];
extern uint64_t audit_clock_ns; /* of logs that audit_log_open() opens */

/* A new directory for the log, and its removal. */
void audit_log_begin(void);
void audit_log_end(void);

/* Opens it with the config's sizes and budgets and the clock above. */
struct audit *audit_log_open(struct audit_config config);

/* Logs that a path was read. What audit_decision() returns. */
int audit_log_path_read(struct audit *audit, const char *object, size_t length,
			enum policy_verdict verdict);

/*
 * Checks all files of both chains, the oldest first; counts the lines that have the text in them.
 * What the check says, with its message in err.
 */
int audit_log_check(struct audit_check *check, const char *text, unsigned *found, struct err *err);

/* sed -i SCRIPT on a file of the log. */
void audit_log_edit(const char *script, enum audit_part part, unsigned number);

#endif
