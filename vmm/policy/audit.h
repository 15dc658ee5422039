/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: JSON objects, one a line, in two chains of files. PATH has what was allowed,
 * PATH.denials what was denied or hidden, questions and their answers, and what operators did, so
 * that no amount of allowed operations pushes a denial out. docs/policy.md has the fields.
 *
 * One sequence of numbers runs through both. A line ends in "hash": SHA-256 over the hash of the
 * line before it in the same chain (64 zeros for the first) and all of this line up to there. A
 * line that was removed leaves a hole in the sequence, one that was changed breaks its chain; and
 * the lines open, rotate and close hold the last number and hash of the other chain. The chains
 * have no key: they show what was done to a log by anyone who did not make the rest of it anew.
 *
 * The guest decides how much there is to log, so each kind of line has a budget of bytes; what was
 * left out is counted in a "gap" line. What operators do, and questions, which are bounded
 * where they are asked, have no budget and are always logged. Files are limited in size: a chain
 * goes on in a new one, PATH.1 being the one before, and the oldest is removed.
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

/* Room for the name of any of a log's files. */
#define AUDIT_PATH_MAX (PATH_MAX + 32)

/* Kinds of lines of which a guest decides how many there are. audit.c has their budgets. */
enum audit_kind { AUDIT_KIND_ALLOWED, AUDIT_KIND_DENIED, AUDIT_KIND_HIDDEN };
#define AUDIT_KINDS 3

struct audit_budget {
	uint64_t rate, burst; /* bytes a second in the long run, and at once */
};

struct audit_key; /* audit_sign.h */

/* 0 stands for the usual numbers. */
struct audit_config {
	const char *path; /* absolute */
	uint64_t file_bytes;
	unsigned files; /* of each chain, with the current one, at most AUDIT_FILES_MAX */
	struct audit_budget budget[AUDIT_KINDS];
	bool brief; /* not synced when it is closed: for a log that is one of many */
	/* What the log is signed with when it is closed, or NULL. audit_open() takes it. */
	struct audit_key *key;
	/* The time for budgets, in ns; NULL: CLOCK_MONOTONIC. For tests. */
	uint64_t (*now)(void);
};

/*
 * Opens the log, made with mode 0600 if it is not there; one that is there goes on where it ended.
 * 0; -EBUSY with a message if another process writes it; -EINVAL if a file is no audit log, or one
 * of the chains is missing; or another -errno.
 */
int audit_open(struct audit **audit, const struct audit_config *config, struct err *err);

/* Writes the last lines, signs, syncs and closes. NULL is fine. */
void audit_close(struct audit *audit);

/* Where a decision came from. */
struct audit_origin {
	const char *file; /* of the rule, or NULL */
	uint64_t policy;  /* the number of the policy that made it, or AUDIT_ANY_POLICY */
	bool required;	  /* the operation does not happen unless it is logged */
};
#define AUDIT_ANY_POLICY UINT64_MAX

/*
 * Logs a decision. 0: written, or a denial that was counted; -ESTALE: another policy has been set
 * since, and nothing is logged; -EAGAIN: something that is allowed, which was only counted, since
 * there is no budget left; another -errno: it can't be written (counted, too). What was counted is
 * told in the next line "gap".
 */
int audit_decision(struct audit *audit, const struct policy_request *request,
		   const struct policy_decision *decision, const struct audit_origin *origin);

/* As audit_decision(), of what is no decision. required: of the origin. */
int audit_note(struct audit *audit, const struct guard_note *note, bool required);

/* Logs that a policy is set: only its decisions are logged behind that, also if it fails. */
int audit_policy_set(struct audit *audit, const struct guard_note *note, uint64_t policy);

/*
 * Logs that a name was hidden from a lookup or a listing: a path once in AUDIT_HIDDEN_NS. Cheap
 * where there is nothing to write; takes no lock then.
 */
#define AUDIT_HIDDEN_NS (60 * UINT64_C(1000000000))
void audit_hidden(struct audit *audit, const struct policy_request *request,
		  const struct policy_decision *decision, const struct audit_origin *origin);

const char *audit_path(const struct audit *audit);

/* --- reading ---------------------------------------------------------------------------------- */

/* The lines of a chain as they are read one after the other. Zeroed is before the first one. */
struct audit_chain {
	uint64_t sequence; /* of the last line, 0: there was none */
	uint64_t first;	   /* of the first line */
	uint64_t oldest;   /* of the first line that rotation has left; 0: no file was removed */
	char hash[AUDIT_HASH + 1];
	bool closed;	/* the last line says that the log was closed */
	bool continued; /* the first line says that older files were there */
};

/* The end of a chain. */
struct audit_head {
	uint64_t sequence;
	char hash[AUDIT_HASH + 1];
};

#define AUDIT_SIGNATURE_MAX 384

/* Both chains, their lines in the order of the sequence. Zeroed is before the first one. */
struct audit_check {
	struct audit_chain chain[AUDIT_PARTS];
	uint64_t sequence, first;    /* of the last line of both, and of the first */
	uint64_t other[AUDIT_PARTS]; /* the last number that the other chain has told of it */
	uint64_t hole, hole_end;     /* what is missing of a chain that has not begun; 0: nothing */
	/* The last signature: its line (0: none), what it is over, and itself. */
	uint64_t signature_line;
	struct audit_head head[AUDIT_PARTS];
	char signature[AUDIT_SIGNATURE_MAX];
};

/* The number of a line (without its newline); 0: it is no line of an audit log. */
uint64_t audit_line_sequence(const char *line, size_t length);

/*
 * Checks the next line (without its newline) of part. 0; or -EBADMSG with a message that says what
 * is wrong: lines missing, changed, or out of order.
 */
int audit_check_next(struct audit_check *check, enum audit_part part, const char *line,
		     size_t length, struct err *err);

/* After the last line: what can only be told then. 0, or -EBADMSG with a message. */
int audit_check_end(const struct audit_check *check, struct err *err);

/*
 * The name of a file of the log at base: number 0 the current one of that part, 1 the one before.
 */
void audit_file(char path[AUDIT_PATH_MAX], const char *base, enum audit_part part, unsigned number);

#endif
