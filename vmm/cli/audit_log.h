/* SPDX-License-Identifier: Apache-2.0 */
/* Reading audit logs: of a sandbox that runs, or of a file that is kept. */
#ifndef CORDON_CLI_AUDIT_LOG_H
#define CORDON_CLI_AUDIT_LOG_H

#include <jansson.h>
#include <limits.h>

#include "vmm/base/err.h"
#include "vmm/policy/audit.h"

/* One line, as it is and parsed. Not 0 ends the reading. */
typedef int (*audit_each)(void *arg, const char *line, size_t length, const json_t *entry,
			  struct err *err);

/*
 * Reads the log at path from its oldest files on, both of its chains, line after line in the order
 * of their numbers. A line that is none is an error. follow: the sandbox whose log it is, or NULL;
 * then new lines are waited for until it has ended. 0, what each() returned, or -errno with a
 * message.
 */
int audit_log_read(const char *path, const char *follow, audit_each each, void *arg,
		   struct err *err);

/*
 * Checks all of the log, and where public is not NULL that it ends in a signature with that key. 0,
 * and what was found; or -EBADMSG or another -errno with a message.
 */
int audit_log_verify(const char *path, const uint8_t *public, struct audit_check *check,
		     struct err *err);

/*
 * Where the log of a sandbox is, which may have ended (NAME or NAME~N); a name that has a '/' in it
 * is a log's path itself; "--last" stands for the last 'cordon run'.
 */
int audit_log_find(const char *name, char path[PATH_MAX], struct err *err);

/*
 * The same, with the policy that is in force, or was at the end. *policy is NULL where there is a
 * log, but not its policy.
 */
int audit_log_find_both(const char *name, char path[PATH_MAX], struct policy **policy,
			struct err *err);

/* A decision out of a log. The strings are the entry's or in the struct. */
struct audit_entry {
	uint64_t sequence;
	const char *time, *rule, *reason, *verdict, *event;
	bool is_decision;
	bool exact; /* the object is as it was, not with parts that are no text left out */
	struct policy_request request;
};

/* Fills entry from what audit_log_read() hands out. */
void audit_entry_read(struct audit_entry *entry, const json_t *json);

#endif
