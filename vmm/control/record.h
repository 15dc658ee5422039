/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of sandboxes, which outlive them. A record is a directory in $XDG_STATE_HOME/cordon
 * (see directory_in_state()), accessible only to its owner, made when the sandbox starts:
 *
 *  - record.json: the sandbox, and how it ended; always replaced as a whole
 *  - policy.json: its policy, for `cordon why`
 *  - audit.log ...: the audit log, unless --audit puts it elsewhere
 *  - log: the last output of the console
 *  - job-N.out, job-N.err: output of detached commands
 *
 * The monitor holds the directory's lock (flock) as long as it lives. A record without an end whose
 * lock is free belongs to a monitor that was killed or crashed. The newest record of a name has the
 * name of the sandbox; when the name is used again, the older one becomes NAME~1, the next NAME~2
 * and so on: no number is used twice while its record exists. Sandbox names contain no '~'.
 *
 * To make, rename or remove a record, a process briefly holds the lock of the directory of all
 * records. Readers take no lock: a record may vanish while they read, but is never incomplete. Only
 * record_remove() and record_prune() remove records, the latter only those of ended sandboxes.
 */
#ifndef CORDON_CONTROL_RECORD_H
#define CORDON_CONTROL_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/control/registry.h"

#define RECORD_ID_MAX (SANDBOX_NAME_MAX + 10) /* "NAME~123456789" */

/* The most to keep of ended sandboxes; the oldest records are removed first. */
struct record_bounds {
	unsigned named; /* records of sandboxes that the user has named */
	unsigned runs;	/* records of `cordon run` without a name */
	uint64_t bytes; /* of all records together */
};

extern const struct record_bounds record_bounds;

/* The number of runs may exceed its bound by this, so that not every run has to prune. */
#define RECORD_RUNS_SLACK 8

/* A record of at least this size, when it ends, causes a check of the size of all records. */
#define RECORD_LARGE (1u << 20)

enum record_end {
	RECORD_NONE,   /* no end: the sandbox runs, or its monitor was killed or crashed */
	RECORD_EXITED, /* the command of a run has ended */
	RECORD_STOPPED,
	RECORD_KILLED,	  /* cordon kill */
	RECORD_TIME,	  /* a time limit was reached */
	RECORD_POWER_OFF, /* the guest switched itself off */
	RECORD_FAILED,
	RECORD_ENDS
};

/* "exited", "stopped" ...; RECORD_NONE: "lost". NULL: not a value of the enum. */
const char *record_end_name(enum record_end end);

struct record_info {
	char id[RECORD_ID_MAX + 1];	 /* of the record: NAME or NAME~N */
	char name[SANDBOX_NAME_MAX + 1]; /* of the sandbox */
	char kind[16];			 /* the verb that started it: run, start, restore, fork */
	char policy[256];		 /* the policy's name when it started */
	char audit[PATH_MAX];		 /* the audit log's path; "": there is none */
	int64_t started_ns, finished_ns; /* Unix time; 0: unknown, or not yet */
	pid_t pid;
	bool lives; /* a monitor holds the record */
	enum record_end end;
	int status;	   /* the exit status, once it has ended */
	char message[512]; /* why it ended, in one line; or "" */
};

struct record;

/* The current time, in ns of Unix time. */
int64_t record_now(void);

/*
 * Makes the record of about->name with kind, policy, pid, started_ns and audit ("" stands for the
 * record's own audit.log). Renames an older record of the name to its number, and removes records
 * beyond the bounds. 0; or -errno with a message, and nothing has changed.
 */
int record_create(struct record **record, const struct record_info *about, struct err *err);

/* A descriptor of the record's directory, not the one with its lock. It stays the record's. */
int record_directory(const struct record *record);

/* The path of a file in the record, valid as long as the record is held. */
void record_path(const struct record *record, const char *file, char path[PATH_MAX]);

const struct record_info *record_info(const struct record *record);

/* Replaces a file in the record as a whole. 0 or -errno. */
int record_put(struct record *record, const char *file, const json_t *json);

/* Records how the sandbox ended. The first end counts. If it cannot be written: "lost". */
void record_end(struct record *record, enum record_end end, int status, const char *message);

/* Releases the record. NULL is fine. */
void record_close(struct record *record);

/* --- reading ---------------------------------------------------------------------------------- */

/* Checks an id, NAME or NAME~N: 0 or -EINVAL with a message. */
int record_check_id(const char *id, struct err *err);

/* Reads a record. 0, -ESRCH with a message if there is no such record, or another -errno. */
int record_read(const char *id, struct record_info *info, struct err *err);

/* The path of a file in a record. 0 or -errno with a message. */
int record_file(const char *id, const char *file, char path[PATH_MAX], struct err *err);

/*
 * Lists all records, the oldest first. *list is malloc()ed. Returns their number (0 without a state
 * directory) or -errno with a message.
 */
int record_list(struct record_info **list, struct err *err);

/* Reads the newest record of a `cordon run`. 0, -ESRCH with a message, or another -errno. */
int record_last_run(struct record_info *info, struct err *err);

/* How a sandbox ended, in one line: its message, or a text for the end. */
const char *record_reason(const struct record_info *info);

/* --- removing --------------------------------------------------------------------------------- */

/* Removes a record. 0; or with a message: -ESRCH: there is no such record; -EBUSY: its sandbox
 * runs; or another -errno. */
int record_remove(const char *id, struct err *err);

/* Removes the oldest records of ended sandboxes beyond the bounds. Their number, or -errno. */
int record_prune(const struct record_bounds *bounds, struct err *err);

#endif
