/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/top_log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/cli/audit_log.h"

void top_log_open(struct top_log *log, const char *path)
{
	unsigned i;

	*log = (struct top_log){.files = json_array(), .denials = json_array()};
	snprintf(log->path, sizeof(log->path), "%s", path);
	for (i = 0; i < AUDIT_PARTS; i++)
		log->tail[i].fd = -1;
}

void top_log_close(struct top_log *log)
{
	unsigned i;

	for (i = 0; i < AUDIT_PARTS; i++)
		fd_close(&log->tail[i].fd);
	json_decref(log->files);
	json_decref(log->denials);
	log->files = log->denials = NULL;
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_equal(const json_t *one, const json_t *other, const char *name)
{
	const json_t *left = json_object_get(one, name), *right = json_object_get(other, name);

	return left == right || json_equal(left, right);
}

/* Whether both lines are about the same object. */
static bool is_same(const json_t *one, const json_t *other, bool op_too)
{
	static const char *const names[] = {"class",   "object", "other",  "protocol", "name",
					    "address", "port",	 "method", "path",     "in"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!is_equal(one, other, names[i]))
			return false;
	return !op_too || (is_equal(one, other, "op") && is_equal(one, other, "rule"));
}

/* Puts the line first, without the older one of the same file. */
static void add_file(json_t *files, json_t *line)
{
	size_t i;

	for (i = 0; i < json_array_size(files); i++) {
		if (is_same(json_array_get(files, i), line, false)) {
			json_array_remove(files, i);
			break;
		}
	}
	json_array_insert(files, 0, line);
}

/* The same denial again counts. */
static void add_denial(json_t *denials, json_t *line)
{
	const json_t *last = json_array_get(denials, 0);
	json_int_t count = 1;

	if (last && is_same(last, line, true)) {
		count += json_integer_value(json_object_get(last, "count"));
		json_array_remove(denials, 0);
	}
	json_object_set_new(line, "count", json_integer(count));
	json_array_insert(denials, 0, line);
}

static void bound(json_t *list)
{
	while (json_array_size(list) > TOP_LOG_KEPT)
		json_array_remove(list, TOP_LOG_KEPT);
}

static void take_line(struct top_log *log, const char *text, size_t length)
{
	json_t *line = json_loadb(text, length, 0, NULL);
	struct audit_entry entry;

	if (json_is_object(line)) {
		audit_entry_read(&entry, line);
		if (entry.is_decision && strcmp(entry.verdict, "allow") != 0) {
			/* A hidden name in a listing is no denial, and there are many. */
			if (entry.request.op != POLICY_LOOKUP)
				add_denial(log->denials, line);
		} else if (entry.is_decision && entry.request.class == POLICY_FILE) {
			add_file(log->files, line);
		}
	}
	json_decref(line);
	bound(log->files);
	bound(log->denials);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Reads what is there from tail->at on, or only its end, and takes the complete lines. */
static void read_tail(struct top_log *log, struct top_tail *tail, off_t size, char *buffer)
{
	const char *at = buffer, *newline;
	bool cut = size - tail->at > (off_t)TOP_LOG_READ;
	ssize_t n;

	if (cut)
		tail->at = size - (off_t)TOP_LOG_READ;
	n = pread(tail->fd, buffer, TOP_LOG_READ, tail->at);
	while (n > 0 && (newline = memchr(at, '\n', (size_t)(buffer + n - at))) != NULL) {
		/* The first one is only the end of a line. */
		if (!cut)
			take_line(log, at, (size_t)(newline - at));
		cut = false;
		at = newline + 1;
	}
	tail->at += at - buffer;
}

/* Opens the current file, if it is another than before. False: there is none. */
static bool open_current(struct top_log *log, enum audit_part part, struct stat *status)
{
	struct top_tail *tail = &log->tail[part];
	char path[AUDIT_PATH_MAX];
	struct stat before;
	int fd;

	audit_file(path, log->path, part, 0);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, status) < 0 || !S_ISREG(status->st_mode)) {
		fd_close(&fd);
		return false;
	}
	if (tail->fd >= 0 && fstat(tail->fd, &before) == 0 && before.st_ino == status->st_ino &&
	    before.st_dev == status->st_dev) {
		fd_close(&fd);
		return true;
	}
	fd_close(&tail->fd);
	*tail = (struct top_tail){.fd = fd};
	return true;
}

void top_log_read(struct top_log *log)
{
	char *buffer = log->path[0] ? malloc(TOP_LOG_READ) : NULL;
	struct stat status;
	unsigned i;

	for (i = 0; buffer && i < AUDIT_PARTS; i++) {
		struct top_tail *tail = &log->tail[i];

		/* What was added before the file was rotated. */
		if (tail->fd >= 0 && fstat(tail->fd, &status) == 0)
			read_tail(log, tail, status.st_size, buffer);
		if (open_current(log, (enum audit_part)i, &status))
			read_tail(log, tail, status.st_size, buffer);
	}
	free(buffer);
}
