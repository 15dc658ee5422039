/* SPDX-License-Identifier: Apache-2.0 */
/* cordon logs: the console of a sandbox, or the output of a detached command. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/quantity.h"
#include "vmm/base/text.h"
#include "vmm/cli/verb.h"
#include "vmm/control/client.h"
#include "vmm/control/record.h"

/* Prints guest output: escaped on a terminal, unchanged elsewhere. */
static void show(int fd, FILE *to)
{
	struct text_stream stream = {.keep = TEXT_LINES};
	char text[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)], chunk[TEXT_STREAM_CHUNK];
	bool terminal = isatty(fileno(to));
	size_t made;
	off_t at = 0;
	ssize_t n, i, kept;

	while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
		at += n;
		if (!terminal) {
			fwrite(chunk, 1, (size_t)n, to);
			continue;
		}
		/* Console lines end in CR LF. */
		for (i = kept = 0; i < n; i++)
			if (chunk[i] != '\r')
				chunk[kept++] = chunk[i];
		made = text_stream(&stream, chunk, (size_t)kept, text);
		fwrite(text, 1, made, to);
	}
	made = text_stream_end(&stream, text);
	fwrite(text, 1, made, to);
}

/* Prints from the record of a sandbox that has ended. */
static int show_record(const char *id, uint64_t job, struct err *err)
{
	static const char *const stream[] = {"out", "err"};
	struct record_info info;
	char file[32], path[PATH_MAX];
	int fd, i, ret = record_read(id, &info, err);

	for (i = 0; ret == 0 && i < (job ? 2 : 1); i++) {
		if (job)
			snprintf(file, sizeof(file), "job-%u.%s", (unsigned)job, stream[i]);
		ret = record_file(id, job ? file : "log", path, err);
		fd = ret == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
		if (fd < 0 && job)
			return err_set(err, ESRCH, "%s: no output of a job %u is kept", id,
				       (unsigned)job);
		if (fd >= 0)
			show(fd, i ? stderr : stdout);
		fd_close(&fd);
	}
	return ret;
}

/* The console, or what a detached command has written to stdout and stderr. */
static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_logs, NULL, 1, 2, "of which sandbox?"};
	int count = verb_words(&words, NULL, 0, argc, argv, err), ret;
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
	if (ret == -ESRCH || ret == -EPIPE)
		ret = show_record(argv[1], job, err);
	else if (ret == 0 && reply.fds > 0)
		show(reply.fd[0], stdout);
	if (ret == 0 && reply.fds > 1)
		show(reply.fd[1], stderr);
	if (ret == 0)
		message_clear(&reply);
	return ret;
}

const struct verb verb_logs = {
	.name = "logs",
	.group = VERB_SANDBOXES,
	.usage = "NAME [JOB]",
	.summary = "show the console of a sandbox, or a detached command's output",
	.description = "Without JOB, shows the end of the guest's console. JOB is the number that "
		       "`cordon exec --detach` printed: shows what that command wrote to standard "
		       "output and error. Works for sandboxes that have ended, too.",
	.see_also = "exec",
	.run = run,
};
