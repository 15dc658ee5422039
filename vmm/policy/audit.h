/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: one JSON object a line, chained by SHA-256, so that a line that was removed or
 * changed shows. docs/policy.md has the fields.
 *
 * A line ends in "hash", which is over the hash of the line before it (64 zeros for the first) and
 * all of this line up to there. The chain has no key: it shows what was done to a log by somebody
 * who did not make the whole rest of it anew; a hash noted elsewhere shows that too.
 *
 * The guest decides how much there is to log, so lines are limited in rate, denials apart from the
 * rest; what was left out is counted in a line of its own. Files are limited in size: the log goes
 * on in a new one, PATH.1 being the one before, and the oldest is removed.
 */
#ifndef CORDON_POLICY_AUDIT_H
#define CORDON_POLICY_AUDIT_H

#include "vmm/policy/guard.h"

#define AUDIT_HASH	 64	     /* hexadecimal digits */
#define AUDIT_LINE_MAX	 (80u << 10) /* two paths of control characters, escaped */
#define AUDIT_FILES_MAX	 64
#define AUDIT_FILE_BYTES (8ull << 20)
#define AUDIT_FILES	 8

/* Lines a second in the long run, and how many at once. */
#define AUDIT_RATE  1000
#define AUDIT_BURST 20000

/* 0 stands for the numbers above. */
struct audit_config {
	const char *path; /* absolute */
	uint64_t file_bytes;
	unsigned files; /* with the current one, at most AUDIT_FILES_MAX */
	unsigned rate, burst;
	/* The time for rate limits, in ns; NULL: CLOCK_MONOTONIC. For tests. */
	uint64_t (*now)(void);
};

/*
 * Opens the log, made with mode 0600 if it is not there; one that is there goes on where its last
 * line ended. 0; -EBUSY with a message if somebody else writes it; -EINVAL if the file is no audit
 * log; or another -errno.
 */
int audit_open(struct audit **audit, const struct audit_config *config, struct err *err);

/* Writes the last line, syncs and closes. NULL is fine. */
void audit_close(struct audit *audit);

/*
 * Logs a decision. file: the name of the rule's file, or NULL. policy: the number of the policy
 * that made it. 0: written, or counted to be told of later; -ESTALE: another policy has been set
 * since, and nothing is logged; another -errno: it can't be written (it will be counted too, once
 * lines can be written again).
 */
#define AUDIT_ANY_POLICY UINT64_MAX

int audit_decision(struct audit *audit, const struct policy_request *request,
		   const struct policy_decision *decision, const char *file, uint64_t policy);

/* Logs that a policy is set: only its decisions are logged behind that, also if it fails. */
int audit_policy_set(struct audit *audit, const struct guard_note *note, uint64_t policy);
int audit_note(struct audit *audit, const struct guard_note *note);

const char *audit_path(const struct audit *audit);

/* --- reading ---------------------------------------------------------------------------------- */

/* A log's lines as they are read one after the other. Zeroed is before the first one. */
struct audit_chain {
	uint64_t sequence; /* of the last line, 0: there was none */
	uint64_t first;	   /* of the first line; more than 1: older files were removed */
	char hash[AUDIT_HASH + 1];
	bool closed;   /* the last line says that the log was closed */
	bool unproven; /* the first line is none that a log or a file of it begins with */
};

/*
 * Checks the next line (without its newline). 0; or -EBADMSG with a message that says what is
 * wrong: lines missing, changed, or out of order.
 */
int audit_chain_next(struct audit_chain *chain, const char *line, size_t length, struct err *err);

/* The name of the file with a number: 0 the current one, 1 the one before ... into path. */
void audit_file(char *path, size_t size, const char *base, unsigned number);

#endif
