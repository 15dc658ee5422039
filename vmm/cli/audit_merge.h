/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of an audit log's two chains, in the order of their numbers, also while they are being
 * written and their files change their names. Memory: one line of each chain.
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

/* Opens the log at path from its oldest files on. 0 or -errno with a message. */
int audit_merge_open(struct audit_merge *merge, const char *path, struct err *err);

/* Closes. Also of a zeroed or half opened one. */
void audit_merge_close(struct audit_merge *merge);

/*
 * The next line (without its newline), good until the next call. 1; 0 if there is none (yet: a
 * later call looks again); -EBADMSG with a message if a file has what is no line.
 */
int audit_merge_next(struct audit_merge *merge, enum audit_part *part, const char **line,
		     size_t *length, struct err *err);

#endif
