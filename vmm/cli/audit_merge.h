/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merges the two chains of an audit log by line number, also while the log is being written and
 * rotated. Keeps one line of each chain in memory.
 */
#ifndef CORDON_CLI_AUDIT_MERGE_H
#define CORDON_CLI_AUDIT_MERGE_H

#include "vmm/policy/audit.h"

struct audit_source {
	int fd;	      /* of the file that is being read, or -1 */
	char *buffer; /* what was read of it and not handed out */
	size_t at, have;
	uint64_t offset;    /* in the file, of the buffer's beginning */
	const char *line;   /* the next one, or NULL */
	size_t line_length; /* without its newline */
	uint64_t sequence;
};

struct audit_merge {
	char base[PATH_MAX];
	struct audit_source source[AUDIT_PARTS];
	uint64_t sequence; /* of the line that was handed out last */
	int last;	   /* its part, -1: none */
};

/* Opens the log at path at its oldest files. 0 or -errno with a message. */
int audit_merge_open(struct audit_merge *merge, const char *path, struct err *err);

/* Closes the log; works on a zeroed or half opened one. */
void audit_merge_close(struct audit_merge *merge);

/*
 * The next line (without its newline), valid until the next call. 1; 0 if there is none yet (a
 * later call looks again); -EBADMSG with a message for invalid contents.
 */
int audit_merge_next(struct audit_merge *merge, enum audit_part *part, const char **line,
		     size_t *length, struct err *err);

#endif
