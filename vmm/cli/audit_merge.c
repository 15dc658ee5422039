/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/audit_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#define BUFFER_SIZE   (2 * AUDIT_LINE_MAX)
#define ROTATED_TRIES 8 /* rotations that may come between finding a file and opening it */

static int open_file(const struct audit_merge *merge, enum audit_part part, unsigned number)
{
	char path[AUDIT_PATH_MAX];

	audit_file(path, merge->base, part, number);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static bool is_same(int fd, const struct stat *other)
{
	struct stat own;

	return fstat(fd, &own) == 0 && own.st_ino == other->st_ino && own.st_dev == other->st_dev;
}

/* The next existing file below number (newer), or -1. */
static int open_below(const struct audit_merge *merge, enum audit_part part, unsigned number)
{
	int fd = -1;

	while (fd < 0 && number-- > 0)
		fd = open_file(merge, part, number);
	return fd;
}

/* The current number of the open file; AUDIT_FILES_MAX if it was removed. */
static unsigned find_number(const struct audit_merge *merge, enum audit_part part, int fd)
{
	char path[AUDIT_PATH_MAX];
	struct stat status;
	unsigned number;

	for (number = 0; number < AUDIT_FILES_MAX; number++) {
		audit_file(path, merge->base, part, number);
		if (stat(path, &status) == 0 && is_same(fd, &status))
			break;
	}
	return number;
}

/*
 * Goes on to the next file after the end of the open one. 1; 0 if the open file is the current one.
 * A concurrent rotation only gives files higher numbers.
 */
static int next_file(const struct audit_merge *merge, enum audit_part part,
		     struct audit_source *source)
{
	unsigned tries, number;
	struct stat status;
	int fd;

	for (tries = 0; tries < ROTATED_TRIES; tries++) {
		number = source->fd < 0 ? AUDIT_FILES_MAX : find_number(merge, part, source->fd);
		fd = open_below(merge, part, number);
		if (fd < 0)
			return 0;
		if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		    (source->fd < 0 || !is_same(source->fd, &status))) {
			fd_close(&source->fd);
			source->fd = fd;
			source->offset = 0;
			source->at = source->have = 0;
			return 1;
		}
		fd_close(&fd);
	}
	return 0;
}

/*
 * The next complete line of the open file, if any. An incomplete one is read again later: on a full
 * disk the monitor may cut it off and write another in its place.
 */
static int next_line(const struct audit_merge *merge, struct audit_source *source, struct err *err)
{
	const char *newline;
	ssize_t n;

	for (;;) {
		newline = memchr(source->buffer + source->at, '\n', source->have - source->at);
		if (newline)
			break;
		source->offset += source->at;
		source->have -= source->at;
		memmove(source->buffer, source->buffer + source->at, source->have);
		source->at = 0;
		if (source->have > AUDIT_LINE_MAX)
			return err_set(err, EBADMSG,
				       "%s: a line is longer than any of an audit log",
				       merge->base);
		n = pread(source->fd, source->buffer + source->have, BUFFER_SIZE - source->have,
			  (off_t)(source->offset + source->have));
		if (n < 0)
			return err_sys(err, "audit log %s", merge->base);
		if (n == 0) {
			source->have = 0;
			return 0;
		}
		source->have += (size_t)n;
	}
	source->line = source->buffer + source->at;
	source->line_length = (size_t)(newline - source->line);
	source->at += source->line_length + 1;
	source->sequence = audit_line_sequence(source->line, source->line_length);
	if (!source->sequence)
		return err_set(err, EBADMSG, "%s: after line %llu: not a line of an audit log",
			       merge->base, (unsigned long long)merge->sequence);
	return 1;
}

/* Reads the next line of the chain, if there is one. */
static int fill(struct audit_merge *merge, enum audit_part part, struct err *err)
{
	struct audit_source *source = &merge->source[part];
	int ret = source->line ? 1 : 0;

	if (ret == 0 && source->fd >= 0)
		ret = next_line(merge, source, err);
	/* Lines written after the end was seen and before the rotation. */
	while (ret == 0 && (source->fd < 0 || find_number(merge, part, source->fd) != 0)) {
		if (source->fd >= 0)
			ret = next_line(merge, source, err);
		if (ret != 0 || next_file(merge, part, source) == 0)
			break;
		ret = next_line(merge, source, err);
	}
	return ret;
}

int audit_merge_next(struct audit_merge *merge, enum audit_part *part, const char **line,
		     size_t *length, struct err *err)
{
	struct audit_source *allowed = &merge->source[AUDIT_ALLOWED];
	struct audit_source *denials = &merge->source[AUDIT_DENIALS], *next;
	int ret;

	if (merge->last >= 0)
		merge->source[merge->last].line = NULL;
	merge->last = -1;
	ret = fill(merge, AUDIT_ALLOWED, err);
	/* The other chain has no earlier line than the next number. */
	if (ret == 0 || (ret > 0 && allowed->sequence != merge->sequence + 1))
		ret = fill(merge, AUDIT_DENIALS, err);
	/*
	 * A line with a later number was written after the missing ones, so those can be read now.
	 */
	if (ret >= 0 && !allowed->line && denials->line && denials->sequence != merge->sequence + 1)
		ret = fill(merge, AUDIT_ALLOWED, err);
	if (ret < 0)
		return ret;
	next = allowed->line ? allowed : denials;
	if (allowed->line && denials->line && denials->sequence < allowed->sequence)
		next = denials;
	if (!next->line)
		return 0;
	*part = next == allowed ? AUDIT_ALLOWED : AUDIT_DENIALS;
	*line = next->line;
	*length = next->line_length;
	merge->last = (int)*part;
	merge->sequence = next->sequence;
	return 1;
}

int audit_merge_open(struct audit_merge *merge, const char *path, struct err *err)
{
	struct stat status;
	int code = ENOENT;
	unsigned i;

	memset(merge, 0, sizeof(*merge));
	merge->last = -1;
	for (i = 0; i < AUDIT_PARTS; i++)
		merge->source[i].fd = -1;
	if (strlen(path) >= sizeof(merge->base))
		return err_set(err, ENAMETOOLONG, "audit log %.64s...: the path is too long", path);
	strcpy(merge->base, path);
	for (i = 0; i < AUDIT_PARTS; i++) {
		merge->source[i].buffer = malloc(BUFFER_SIZE);
		if (!merge->source[i].buffer)
			return err_set(err, ENOMEM, "out of memory");
		errno = 0;
		if (next_file(merge, (enum audit_part)i, &merge->source[i]) == 0 && errno)
			code = i == AUDIT_ALLOWED || errno != ENOENT ? errno : code;
	}
	if (merge->source[AUDIT_ALLOWED].fd < 0 && merge->source[AUDIT_DENIALS].fd < 0 &&
	    stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return err_set(err, EINVAL, "audit log %s: not a regular file", path);
	if (merge->source[AUDIT_ALLOWED].fd < 0 && merge->source[AUDIT_DENIALS].fd < 0)
		return err_code(err, code, "audit log %s", path);
	return 0;
}

void audit_merge_close(struct audit_merge *merge)
{
	unsigned i;

	for (i = 0; i < AUDIT_PARTS; i++) {
		if (merge->source[i].buffer)
			fd_close(&merge->source[i].fd);
		free(merge->source[i].buffer);
		merge->source[i].buffer = NULL;
	}
}
