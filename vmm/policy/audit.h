/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: one JSON object a line, in two chains of files. PATH has what was allowed;
 * PATH.denials has what was denied or hidden, approvals, and what operators did, so that no amount
 * of allowed operations pushes a denial out. docs/policy.md has the fields.
 *
 * One sequence of numbers runs through both chains. A line ends in "hash": SHA-256 over the hash of
 * the line before it in the same chain (64 zeros for the first) and this line up to the field. A
 * removed line leaves a hole in the sequence, and a changed one breaks its chain; the lines open,
 * rotate and close hold the last number and hash of the other chain. The hashes have no key: they
 * do not show a change after which all further lines were made anew.
 *
 * The guest decides how much there is to log, so each kind of line has a budget of bytes; a "gap"
 * line counts what was left out. Acts of operators have no budget, nor do approvals, whose number
 * is bounded elsewhere: they are always logged. The size of a file is limited: a chain continues in
 * a new file, the one before becomes PATH.1, and the oldest is removed.
 */
#ifndef CORDON_POLICY_AUDIT_H
#define CORDON_POLICY_AUDIT_H

#include <limits.h>

#include "vmm/policy/guard.h"

#define AUDIT_HASH	 64	     /* hexadecimal digits */
#define AUDIT_LINE_MAX	 (32u << 10) /* two paths, each as text and in hexadecimal */
#define AUDIT_FILES_MAX	 64
#define AUDIT_FILE_BYTES (8ull << 20)
#define AUDIT_FILES	 8

enum audit_part { AUDIT_ALLOWED, AUDIT_DENIALS };
#define AUDIT_PARTS 2

/* Size of a buffer for the path of any file of a log. */
#define AUDIT_PATH_MAX (PATH_MAX + 32)

/* Kinds of lines whose number the guest decides. audit_budget.c has their budgets. */
enum audit_kind {
	AUDIT_KIND_ALLOWED,
	AUDIT_KIND_DENIED,
	AUDIT_KIND_HIDDEN,
	AUDIT_KIND_PROCESS, /* starts and ends: no operations, so they are never denied */
};
#define AUDIT_KINDS 4

struct audit_budget {
	uint64_t rate, burst; /* bytes a second, and bytes at once */
};

struct audit_key; /* audit_sign.h */

/* 0: the default. */
struct audit_config {
	const char *path; /* absolute */
	/*
	 * A descriptor of the directory that the log is in, by which its files are then reached; it
	 * stays the caller's, as long as the log is open. NULL: they are reached by their paths.
	 */
	const int *directory;
	uint64_t file_bytes;
	unsigned files; /* of each chain, including the current one; at most AUDIT_FILES_MAX */
	struct audit_budget budget[AUDIT_KINDS];
	bool brief; /* do not sync the log when it is closed: for one of many short logs */
	/* Signs the log when it is closed, or NULL. audit_open() takes ownership. */
	struct audit_key *key;
	/* The clock for budgets, in ns; NULL: CLOCK_MONOTONIC. For tests. */
	uint64_t (*now)(void);
};

/*
 * Opens the log and continues it where it ended, or creates it with mode 0600. 0; or with a
 * message: -EBUSY if another process writes it; -EINVAL if a file is not an audit log, or one of
 * the chains is missing; or another -errno.
 */
int audit_open(struct audit **audit, const struct audit_config *config, struct err *err);

/* Writes the last lines, signs, syncs and closes. NULL is fine. */
void audit_close(struct audit *audit);

/* The origin of a decision. */
struct audit_origin {
	const char *file; /* of the rule, or NULL */
	uint64_t policy;  /* the number of the policy that decided, or AUDIT_ANY_POLICY */
	bool required;	  /* an operation that cannot be logged is denied */
};
#define AUDIT_ANY_POLICY UINT64_MAX

/*
 * Logs a decision. 0: written, or a denial that was counted; -ESTALE: not logged, because another
 * policy has been set since; -EAGAIN: an allowed operation that was only counted, because the
 * budget is spent; another -errno: it could not be written (counted, too). The next "gap" line has
 * the counts.
 */
int audit_decision(struct audit *audit, const struct policy_request *request,
		   const struct policy_decision *decision, const struct audit_origin *origin);

/* As audit_decision(), for an event that is not a decision. required: as in audit_origin. */
int audit_note(struct audit *audit, const struct guard_note *note, bool required);

/* Logs that a policy is set. From then on, even on failure, only its decisions are logged. */
int audit_policy_set(struct audit *audit, const struct guard_note *note, uint64_t policy);

/*
 * Logs that a name was hidden from a lookup or a listing: each path once in AUDIT_HIDDEN_NS. Cheap
 * and lock-free if there is nothing to write.
 */
#define AUDIT_HIDDEN_NS (60 * UINT64_C(1000000000))
void audit_hidden(struct audit *audit, const struct policy_request *request,
		  const struct policy_decision *decision, const struct audit_origin *origin);

const char *audit_path(const struct audit *audit);

/* --- reading ---------------------------------------------------------------------------------- */

/* The state of reading one chain line by line. All zero before the first line. */
struct audit_chain_check {
	uint64_t sequence; /* of the last line; 0: no line yet */
	uint64_t first;	   /* of the first line */
	uint64_t oldest;   /* of the first line that rotation has kept; 0: no file was removed */
	char hash[AUDIT_HASH + 1];
	bool closed;	/* the last line is a close or a signature */
	bool continued; /* the first line is a continue: there were older files */
};

/* The end of a chain. */
struct audit_head {
	uint64_t sequence;
	char hash[AUDIT_HASH + 1];
};

#define AUDIT_SIGNATURE_MAX 384

/* The state of reading both chains in sequence order. All zero before the first line. */
struct audit_check {
	struct audit_chain_check chain[AUDIT_PARTS];
	uint64_t sequence, first;    /* of the last and the first line of both */
	uint64_t other[AUDIT_PARTS]; /* its last number according to the other chain */
	uint64_t hole, hole_end;     /* missing lines of a chain that has not begun; 0: none */
	/* The last signature: its line (0: none), the heads that it signs, and its text. */
	uint64_t signature_line;
	struct audit_head head[AUDIT_PARTS];
	char signature[AUDIT_SIGNATURE_MAX];
};

/* The number of a line (without its newline); 0: it is not a line of an audit log. */
uint64_t audit_line_sequence(const char *line, size_t length);

/*
 * Checks the next line (without its newline) of part. 0; or -EBADMSG with a message: lines missing,
 * changed, or out of order.
 */
int audit_check_next(struct audit_check *check, enum audit_part part, const char *line,
		     size_t length, struct err *err);

/* The checks that need the whole log, after the last line. 0, or -EBADMSG with a message. */
int audit_check_end(const struct audit_check *check, struct err *err);

/*
 * The path of a file of the log at base: number 0 is the current file of the part, 1 the one
 * before.
 */
void audit_file(char path[AUDIT_PATH_MAX], const char *base, enum audit_part part, unsigned number);

#endif
