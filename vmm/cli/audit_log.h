/* SPDX-License-Identifier: Apache-2.0 */
/* Reading audit logs: of a sandbox that runs, or of a file that is kept. */
#ifndef CORDON_CLI_AUDIT_LOG_H
#define CORDON_CLI_AUDIT_LOG_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/cli/verb.h"
#include "vmm/policy/audit.h"

/* Gets one line as text and parsed. A return value other than 0 ends the reading. */
typedef int (*audit_each)(void *arg, const char *line, size_t length, const json_t *entry,
			  struct err *err);

/*
 * Reads both chains of the log at path from their oldest files on, in the order of line numbers. An
 * invalid line is an error. follow: the sandbox whose log it is, to wait for new lines until that
 * has ended; or NULL. 0, what each() returned, or -errno with a message.
 */
int audit_log_read(const char *path, const char *follow, audit_each each, void *arg,
		   struct err *err);

/*
 * Verifies the whole log and, if public is not NULL, that it ends in a signature with that key. 0
 * and *check filled in, or -EBADMSG or another -errno with a message.
 */
int audit_log_verify(const char *path, const uint8_t *public, struct audit_check *check,
		     struct err *err);

/* --last, for the verbs that audit_log_words() parses. */
extern const struct option_table audit_log_last_table;

/*
 * Parses the arguments of a verb whose first word is a log, or which has --last in its place (words
 * counts it among the words). *log: the name, with --last that of the last 'cordon run'. Returns
 * how many words follow, which are *rest and up; OPTIONS_HELP; or -errno with a message.
 */
int audit_log_words(const struct verb_words *words, int argc, char **argv, const char **log,
		    char ***rest, struct err *err);

/*
 * Finds the log of a sandbox, running or ended (NAME or NAME~N). A name with a '/' is the path of a
 * log itself.
 */
int audit_log_find(const char *name, char path[PATH_MAX], struct err *err);

/*
 * The same, with the policy in force, or at the end. *policy is NULL if the log has no policy
 * beside it.
 */
int audit_log_find_both(const char *name, char path[PATH_MAX], struct policy **policy,
			struct err *err);

/* A decision read from a log. The strings belong to the JSON entry or the struct. */
struct audit_entry {
	uint64_t sequence;
	const char *time, *rule, *reason, *verdict, *event;
	bool is_decision;
	bool exact; /* the object is complete: no bytes were left out because they are not text */
	struct policy_request request;
};

/* Fills entry from a line that audit_log_read() handed out. */
void audit_entry_read(struct audit_entry *entry, const json_t *json);

/* Whether it is an event that says which groups of system calls are open: one bit of each. */
bool audit_entry_groups(const json_t *json, uint32_t *open);

#endif
