/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of sandboxes: what outlives them. A record is a directory in $XDG_STATE_HOME/cordon
 * (see directory_in_state()), for its owner alone, made when the sandbox starts:
 *
 *     record.json      which sandbox it is, and once that is over, how it ended; replaced as a
 * whole policy.json      its policy, for `cordon why` audit.log ...    what was decided, unless
 * --audit has it elsewhere log              the last output of the console job-N.out, .err  what
 * detached commands wrote
 *
 * The monitor holds the directory (flock) as long as it lives. A record that has no end, and whose
 * lock is free, is of a monitor that was killed or crashed. The newest record of a name is called
 * like the sandbox; when the name is used again, the older one becomes NAME~1, the next NAME~2 and
 * so on: a number is never given twice while its record is there. '~' is in no sandbox's name.
 *
 * Whatever makes, renames or removes records holds the lock of the directory that all are in, for a
 * moment. Readers take no lock: what they look at may be gone the next moment, but is never half.
 * Nothing removes a record but record_remove() and record_prune(), and the latter only records of
 * sandboxes that have ended.
 */
#ifndef CORDON_CONTROL_RECORD_H
#define CORDON_CONTROL_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/control/registry.h"

#define RECORD_ID_MAX (SANDBOX_NAME_MAX + 10) /* "NAME~123456789" */

/* What is kept at most of sandboxes that have ended; the oldest ones go first. */
struct record_bounds {
	unsigned named; /* records of sandboxes that the user gave a name */
	unsigned runs;	/* of `cordon run` without a name */
	uint64_t bytes; /* of all of them together */
};

extern const struct record_bounds record_bounds;

/* So many more runs there may be, so that not each run has to look at all of them. */
#define RECORD_RUNS_SLACK 8

/* A record as big as this has the size of all of them looked at when it ends. */
#define RECORD_LARGE (1u << 20)

enum record_end {
	RECORD_NONE,   /* it has none: the sandbox lives, or its monitor was killed or crashed */
	RECORD_EXITED, /* the command of a run has ended */
	RECORD_STOPPED,
	RECORD_KILLED,	  /* cordon kill */
	RECORD_TIME,	  /* a limit of time */
	RECORD_POWER_OFF, /* the guest switched itself off */
	RECORD_FAILED,
	RECORD_ENDS
};

/* "exited", "stopped" ...; NULL for what is none. Of RECORD_NONE: "lost". */
const char *record_end_word(enum record_end end);

struct record_info {
	char id[RECORD_ID_MAX + 1];	 /* what it is called: NAME or NAME~N */
	char name[SANDBOX_NAME_MAX + 1]; /* of the sandbox */
	char kind[16];			 /* the verb that started it: run, start, restore, fork */
	char policy[256];		 /* the policy's name when it started */
	char audit[PATH_MAX];		 /* the audit log's path; "": there is none */
	int64_t started_ns, finished_ns; /* Unix time; 0: not known, or not yet */
	pid_t pid;
	bool lives; /* a monitor holds it */
	enum record_end end;
	int status;	   /* the exit status, once it has ended */
	char message[512]; /* why, in one line; or "" */
};

struct record;

/* The time as records have it. */
int64_t record_now(void);

/*
 * Makes the record of about->name, of which kind, policy, pid and started_ns are written down, and
 * audit: "" stands for its own audit.log. An older record of the name gets its number, and records
 * beyond the bounds are removed. 0; or -errno with a message, and then nothing has changed.
 */
int record_create(struct record **record, const struct record_info *about, struct err *err);

/* The path of a file in it, which is there as long as the record is held. */
void record_path(const struct record *record, const char *file, char path[PATH_MAX]);

const struct record_info *record_info(const struct record *record);

/* Replaces a file in it as a whole. 0 or -errno. */
int record_put(struct record *record, const char *file, const json_t *json);

/* Writes down how it ended. The first end counts. Never fails: at worst it reads as lost. */
void record_end(struct record *record, enum record_end end, int status, const char *message);

/* Lets go of it. NULL is fine. */
void record_close(struct record *record);

/* --- reading ---------------------------------------------------------------------------------- */

/* NAME or NAME~N: 0 or -EINVAL with a message. */
int record_check_id(const char *id, struct err *err);

/* 0, -ESRCH with a message if there is no such record, or another -errno. */
int record_read(const char *id, struct record_info *info, struct err *err);

/* The path of a file in a record. 0 or -errno with a message. */
int record_file(const char *id, const char *file, char path[PATH_MAX], struct err *err);

/*
 * All records, the oldest first. *list is malloc()ed. The number or -errno with a message; without
 * a state directory there are none.
 */
int record_list(struct record_info **list, struct err *err);

/* The newest record of a `cordon run`. 0, -ESRCH with a message, or another -errno. */
int record_last_run(struct record_info *info, struct err *err);

/* How a sandbox ended, in one line: its message, or a text for the end. */
const char *record_reason(const struct record_info *info);

/* --- removing --------------------------------------------------------------------------------- */

/* 0; -ESRCH: there is no such record; -EBUSY: its sandbox lives; or another -errno with a message.
 */
int record_remove(const char *id, struct err *err);

/* Removes the oldest records of ended sandboxes beyond the bounds. Their number, or -errno. */
int record_prune(const struct record_bounds *bounds, struct err *err);

#endif
