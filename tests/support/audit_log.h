/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log's tests share: a log in its own directory, and its check. */
#ifndef CORDON_TESTS_AUDIT_LOG_H
#define CORDON_TESTS_AUDIT_LOG_H

#include "vmm/policy/audit.h"

extern char audit_directory[64], audit_log_path[96];
extern uint64_t audit_clock_ns; /* the clock of logs that audit_log_open() opens */

/* Creates a directory for the log; removes it. */
void audit_log_begin(void);
void audit_log_end(void);

/* Opens the log with the config's sizes and budgets and the clock above. */
struct audit *audit_log_open(struct audit_config config);

/* Logs that a path was read. Returns what audit_decision() returns. */
int audit_log_path_read(struct audit *audit, const char *object, size_t length,
			enum policy_verdict verdict);

/*
 * Checks all files of both chains, the oldest first, and counts the lines that contain the text.
 * Returns the check's result, with its message in err.
 */
int audit_log_check(struct audit_check *check, const char *text, unsigned *found, struct err *err);

/* The same of a log that must hold: how many lines contain the text. */
unsigned audit_log_lines(const char *text);

/* Runs sed -i SCRIPT on a file of the log. */
void audit_log_edit(const char *script, enum audit_part part, unsigned number);

#endif
