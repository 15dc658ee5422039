/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one chain of an audit log: lines chained by hashes, in a current file and rotated ones. */
#ifndef CORDON_POLICY_AUDIT_CHAIN_H
#define CORDON_POLICY_AUDIT_CHAIN_H

#include "vmm/policy/audit_line.h"

struct audit_chain {
	const char *base;     /* the path of the log */
	const int *directory; /* that base lies in; NULL: files are reached by their paths */
	enum audit_part part;
	unsigned files; /* at most this many */
	uint64_t file_bytes;
	char path[AUDIT_PATH_MAX]; /* of the current file */
	int fd;
	uint64_t size;
	uint64_t limit;	   /* the size at which rotation is tried */
	uint64_t torn;	   /* bytes of an incomplete last line, cut off on opening */
	uint64_t sequence; /* of the last line; 0: none */
	char hash[AUDIT_HASH + 1];
	uint64_t first[AUDIT_FILES_MAX]; /* of each file's first line; 0: there is no such file */
};

/*
 * Opens the current file for writing with an exclusive lock, and finds its last line. Recovers from
 * a monitor that was killed in the middle of a rotation or a line. The caller has set base,
 * directory, part, files and file_bytes. 0 or -errno with a message.
 */
int audit_chain_open(struct audit_chain *chain, struct err *err);

/* Ends the line and writes it as number sequence. 0; or -errno, and nothing is written. */
int audit_chain_write(struct audit_chain *chain, struct audit_line *line, uint64_t sequence);

/* Begins a line with an event, and the last number and hash of the other chain. */
void audit_chain_event(const struct audit_chain *other, struct audit_line *line, uint64_t sequence,
		       const char *event);

/*
 * Makes room for a line: if the current file is full, the chain continues in a new one. *sequence
 * is advanced by the lines that this writes. If rotation fails, the chain continues in the same
 * file, and rotation is tried again later. 0; or -EFBIG: that file has grown to the size that all
 * files together may have.
 */
int audit_chain_room(struct audit_chain *chain, const struct audit_chain *other,
		     struct audit_line *line, uint64_t *sequence);

#endif
