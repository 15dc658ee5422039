/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a detached command wrote what: a small file beside its output, for `logs --since`.
 *
 * Each line of the file is a span of output: the Unix time in seconds at which it was over at the
 * latest, and where it begins in stdout's file and in stderr's. Spans follow each other in both. A
 * span is a second long; once there are JOB_TIMES_MAX of them, neighbours are joined and new ones
 * are twice as long. The last span may then be there more than once.
 */
#ifndef CORDON_CONTROL_JOB_TIMES_H
#define CORDON_CONTROL_JOB_TIMES_H

#include <stdint.h>
#include <sys/types.h>

#define JOB_TIMES_MAX 2048 /* lines, a power of two */

struct job_times {
	int fd; /* of an empty file, for reading and writing; -1: nothing is noted */
	unsigned spans, seconds;
	uint64_t until;
};

/* The descriptor stays the caller's. */
void job_times_init(struct job_times *times, int fd);

/*
 * Output comes now, behind at[0] bytes of stdout and at[1] of stderr. A file that can't be written
 * is emptied, and ends the notes: then nothing is known of any output.
 */
void job_times_note(struct job_times *times, uint64_t now, const uint64_t at[2]);

/*
 * Where the output of a stream (0 or 1) that may be as new as the Unix time `since` begins: 0 if
 * that isn't known, and never behind newer output. INT64_MAX: all of it is older. The file is
 * untrusted.
 */
off_t job_times_find(int fd, uint64_t since, unsigned stream);

#endif
