/* SPDX-License-Identifier: Apache-2.0 */
/* cordon logs: the console of a sandbox, or the output of a detached command. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/quantity.h"
#include "vmm/base/text.h"
#include "vmm/cli/verb.h"
#include "vmm/control/client.h"
#include "vmm/control/job_times.h"
#include "vmm/control/record.h"

#define FOLLOW_MS	   200 /* how soon new output is looked for */
#define FOLLOW_PATIENCE_MS 3000
#define SECOND_NS	   UINT64_C(1000000000)

struct logs_options {
	bool follow;
	unsigned tail;	/* lines; 0: all */
	uint64_t since; /* Unix time in seconds; 0: all */
};

/* "10m": so long ago; or a time as `cordon audit` prints it, with or without a fraction. */
static int set_since(void *arg, const char *value, struct err *err)
{
	struct logs_options *options = arg;
	uint64_t ns, now = (uint64_t)time(NULL);
	struct tm parts = {.tm_sec = 0};
	const char *rest = strptime(value, "%Y-%m-%dT%H:%M:%S", &parts);
	time_t at;

	if (rest && rest[0] == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (rest && strcmp(rest, "Z") == 0) {
		at = timegm(&parts);
		options->since = at > 0 ? (uint64_t)at : 1;
		return 0;
	}
	if (quantity_duration(value, &ns, err) < 0)
		return err_set(err, EINVAL,
			       "'%s' is neither a time such as 30s or 10m, nor one such as "
			       "2026-01-31T12:00:00Z",
			       value);
	options->since = now > ns / SECOND_NS ? now - ns / SECOND_NS : 1;
	return 0;
}

/* Nothing is stamped: the output belongs to the command, byte for byte. */
static int refuse_times(void *arg, const char *value, struct err *err)
{
	(void)arg;
	(void)value;
	return err_set(err, EINVAL,
		       "output is kept as the command wrote it, without times: --since TIME shows "
		       "what is newer, and the lines of 'cordon audit' have times");
}

static const struct option_entry entries[] = {
	{"follow", 'f', OPTION_FLAG, NULL, "go on until the command or the sandbox has ended",
	 .offset = offsetof(struct logs_options, follow)},
	{"tail", 'n', OPTION_NUMBER, "N", "only the last N lines that are there now", NULL,
	 .offset = offsetof(struct logs_options, tail), .low = 1, .high = INT_MAX},
	{"since", 0, OPTION_CALL, "TIME", "only lines of a detached command since then",
	 "TIME is a length of time before now, such as 10m, or a time such as "
	 "2026-01-31T12:00:00Z. It is exact to a second at first, and less so in the output of "
	 "hours: lines a little older may be shown, too.",
	 .set = set_since},
	{"timestamps", 0, OPTION_CALL, NULL, "refused: lines have no times, see `--since`",
	 .set = refuse_times},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* --- output ----------------------------------------------------------------------------------- */

/* A file that is shown, and how far. */
struct shown {
	int fd;
	FILE *to;
	off_t at;
	struct text_stream stream;
};

static struct shown shown_of(int fd, FILE *to)
{
	return (struct shown){.fd = fd, .to = to, .stream = {.keep = TEXT_LINES}};
}

/* Where the line begins that has the byte before `at`, which ends none. */
static off_t line_start(int fd, off_t at)
{
	char chunk[TEXT_STREAM_CHUNK];
	ssize_t n;

	while (at > 0) {
		n = at < (off_t)sizeof(chunk) ? (ssize_t)at : (ssize_t)sizeof(chunk);
		if (pread(fd, chunk, (size_t)n, at - n) != n)
			return at;
		for (; n > 0; n--, at--)
			if (chunk[n - 1] == '\n')
				return at;
	}
	return 0;
}

/* Moves to where the last lines begin. */
static void skip_to_tail(struct shown *shown, unsigned lines)
{
	char chunk[TEXT_STREAM_CHUNK];
	off_t size = lseek(shown->fd, 0, SEEK_END), at = size;
	ssize_t n, i;

	while (lines > 0 && at > 0) {
		n = at < (off_t)sizeof(chunk) ? (ssize_t)at : (ssize_t)sizeof(chunk);
		if (pread(shown->fd, chunk, (size_t)n, at - n) != n)
			return;
		for (i = n - 1; i >= 0; i--) {
			/* The newline at the very end ends the last line, and begins none. */
			if (chunk[i] != '\n' || at - n + i + 1 == size || --lines > 0)
				continue;
			if (shown->at < at - n + i + 1)
				shown->at = at - n + i + 1;
			return;
		}
		at -= n;
	}
}

/* Moves to what the options want to see. times: of the stream's output, or -1. */
static void skip(struct shown *shown, const struct logs_options *options, int times,
		 unsigned stream)
{
	off_t size = lseek(shown->fd, 0, SEEK_END), from;

	if (options->since && times >= 0) {
		from = job_times_find(times, options->since, stream);
		shown->at = from < size ? line_start(shown->fd, from) : size;
	}
	if (options->tail)
		skip_to_tail(shown, options->tail);
}

/* Prints what is new of a guest's output: escaped on a terminal, unchanged elsewhere. */
static void show_more(struct shown *shown)
{
	char text[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)], chunk[TEXT_STREAM_CHUNK];
	bool terminal = isatty(fileno(shown->to));
	size_t made;
	ssize_t n, i, kept;

	while ((n = pread(shown->fd, chunk, sizeof(chunk), shown->at)) > 0) {
		shown->at += n;
		if (!terminal) {
			fwrite(chunk, 1, (size_t)n, shown->to);
			continue;
		}
		/* Console lines end in CR LF. */
		for (i = kept = 0; i < n; i++)
			if (chunk[i] != '\r')
				chunk[kept++] = chunk[i];
		made = text_stream(&shown->stream, chunk, (size_t)kept, text);
		fwrite(text, 1, made, shown->to);
	}
}

static void show_end(struct shown *shown)
{
	char text[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)];
	size_t made;

	show_more(shown);
	made = text_stream_end(&shown->stream, text);
	fwrite(text, 1, made, shown->to);
}

static void show(int fd, unsigned stream, const struct logs_options *options, int times)
{
	struct shown shown = shown_of(fd, stream ? stderr : stdout);

	skip(&shown, options, times, stream);
	show_end(&shown);
}

/* Whether the command, or without one the sandbox, still runs. */
static bool still_runs(const char *name, uint64_t job)
{
	const json_t *jobs, *item;
	struct message reply;
	struct err err;
	bool found = !job;
	size_t i;
	int ret = client_request_once(name, FOLLOW_PATIENCE_MS, json_pack("{s:s}", "op", "info"),
				      &reply, &err);

	if (ret < 0) /* one that is only slow has not ended */
		return ret == -EAGAIN;
	jobs = json_object_get(reply.body, "jobs");
	json_array_foreach(jobs, i, item) if ((uint64_t)json_integer_value(json_object_get(
						      item, "job")) == job) found = true;
	message_clear(&reply);
	return found;
}

/* Prints until the end, or until nothing can be printed any more. */
static void follow(const char *name, uint64_t job, const struct message *reply,
		   const struct logs_options *options)
{
	struct shown shown[2] = {shown_of(reply->fd[0], stdout), shown_of(reply->fd[1], stderr)};
	unsigned i, count = reply->fds < 2 ? reply->fds : 2;
	bool runs = true;

	for (i = 0; i < count; i++)
		skip(&shown[i], options, reply->fds > 2 ? reply->fd[2] : -1, i);
	while (runs && !ferror(stdout)) {
		runs = still_runs(name, job); /* before the last look */
		for (i = 0; i < count; i++)
			show_more(&shown[i]);
		fflush(stdout);
		if (runs)
			usleep(FOLLOW_MS * 1000);
	}
	for (i = 0; i < count; i++)
		show_end(&shown[i]);
}

/* Opens the files of a record: as those of a reply to `logs`. A job's number, or 0. */
static int open_record(const char *id, uint64_t job, struct message *reply, struct err *err)
{
	static const char *const stream[MESSAGE_FDS] = {"out", "err", "times"};
	struct record_info info;
	char file[32] = "log", path[PATH_MAX];
	int fd, i, ret = record_read(id, &info, err);

	/* Of a detached run: what its command has written. */
	if (ret == 0 && !job && strcmp(info.kind, "run") == 0 &&
	    record_file(id, "job-1.out", path, err) == 0 && access(path, F_OK) == 0)
		job = 1;
	for (i = 0; ret == 0 && i < (job ? MESSAGE_FDS : 1); i++) {
		if (job)
			snprintf(file, sizeof(file), "job-%u.%s", (unsigned)job, stream[i]);
		ret = record_file(id, file, path, err);
		fd = ret == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
		if (fd < 0 && job && i < 2)
			return err_set(err, ESRCH, "%s: no output of a job %u is kept", id,
				       (unsigned)job);
		if (fd >= 0)
			reply->fd[reply->fds++] = fd;
	}
	return ret;
}

/* The reply has a copy of the console as it is now; the record's file grows with it. */
static void follow_console(const char *name, struct message *reply)
{
	char path[PATH_MAX];
	struct err err;
	int fd;

	if (record_file(name, "log", path, &err) < 0 || reply->fds == 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	fd_close(&reply->fd[0]);
	reply->fd[0] = fd;
}

static void print(const char *name, uint64_t job, struct message *reply,
		  const struct logs_options *options)
{
	unsigned i;

	if (options->follow && reply->fds == 1)
		follow_console(name, reply);
	if (options->follow && reply->fds > 0)
		follow(name, job, reply, options);
	for (i = 0; !options->follow && i < reply->fds && i < 2; i++)
		show(reply->fd[i], i, options, reply->fds > 2 ? reply->fd[2] : -1);
}

/* The console, or what a detached command has written to stdout and stderr. */
static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_logs, NULL, 1, 2, "of which sandbox?"};
	struct logs_options options = {.follow = false};
	const struct option_set set = {&table, &options};
	int count = verb_words(&words, &set, 1, argc, argv, err), ret;
	struct message reply = {.fds = 0};
	uint64_t job = 0;
	json_t *request;

	if (count < 0)
		return count;
	request = json_pack("{s:s}", "op", "logs");
	ret = record_check_id(argv[1], err);
	if (ret == 0 && count == 2)
		ret = quantity_number(argv[2], 1, INT32_MAX, &job, err);
	if (ret == 0 && job)
		json_object_set_new(request, "job", json_integer((json_int_t)job));
	if (ret == 0 && !strchr(argv[1], '~')) {
		ret = client_request_once(argv[1], 0, request, &reply, err);
	} else {
		json_decref(request);
		ret = ret < 0 ? ret : -ESRCH;
	}
	if (ret == -ESRCH || ret == -EPIPE) {
		options.follow = false; /* it has ended */
		reply.fds = 0;
		ret = open_record(argv[1], job, &reply, err);
	}
	if (ret == 0 && options.since && reply.fds == 1)
		ret = err_set(err, EINVAL,
			      "the console has no times: --tail N shows its last lines");
	if (ret == 0)
		print(argv[1], job, &reply, &options);
	message_clear(&reply);
	return ret;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_logs = {
	.name = "logs",
	.group = VERB_SANDBOXES,
	.usage = "[options] NAME [JOB]",
	.summary = "show the console of a sandbox, or a detached command's output",
	.description =
		"Without JOB, shows the end of the guest's console; of a sandbox of `cordon run "
		"--detach`, what its command wrote. JOB is the number that "
		"`cordon exec --detach` printed: shows what that command wrote to standard "
		"output and error. Works for sandboxes that have ended, too.",
	.options = tables,
	.see_also = "exec",
	.run = run,
};
