/* SPDX-License-Identifier: Apache-2.0 */
/* One chain of an audit log: its current file, and those that it was rotated out of. */
#ifndef CORDON_POLICY_AUDIT_STREAM_H
#define CORDON_POLICY_AUDIT_STREAM_H

#include "vmm/policy/audit_line.h"

struct audit_stream {
	const char *base; /* of the log */
	enum audit_part part;
	unsigned files; /* at most so many */
	uint64_t file_bytes;
	char path[AUDIT_PATH_MAX]; /* of the current file */
	int fd;
	uint64_t size;
	uint64_t limit;	   /* the size at which a new file is tried */
	uint64_t torn;	   /* bytes of a broken last line that were cut off when it was opened */
	uint64_t sequence; /* of the last line, 0: none */
	char hash[AUDIT_HASH + 1];
	uint64_t first[AUDIT_FILES_MAX]; /* of each file's first line, 0: there is no such file */
};

/*
 * Opens the current file for writing, alone, and finds where it ended. Puts right what a monitor
 * that was killed in the middle of a rotation or a line has left. base, part, files and file_bytes
 * are set. 0 or -errno with a message.
 */
int audit_stream_open(struct audit_stream *stream, struct err *err);

/* Ends the line, and writes it as number sequence. 0 or -errno; then nothing of it is there. */
int audit_stream_write(struct audit_stream *stream, struct audit_line *line, uint64_t sequence);

/* The event and where the other chain is. */
void audit_stream_event(const struct audit_stream *other, struct audit_line *line,
			uint64_t sequence, const char *event);

/*
 * Makes room for a line: where the current file is full, the chain goes on in a new one. The
 * numbers of the lines that this writes are added to *sequence. Where it does not work, the chain
 * goes on in the same file, and it is tried again later. 0; or -EFBIG: that file has grown to what
 * all files together may have.
 */
int audit_stream_room(struct audit_stream *stream, const struct audit_stream *other,
		      struct audit_line *line, uint64_t *sequence);

#endif
