/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that ask a sandbox for one thing, and those that list sandboxes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/print.h"
#include "vmm/cli/records.h"
#include "vmm/control/client.h"
#include "vmm/control/registry.h"

/* How long a sandbox has to answer what it can answer at once. */
#define PATIENCE_MS 3000

#define DYING_US 1000
#define DYINGS	 2000

/* --- one request, one name -------------------------------------------------------------------- */

static int one_name(int argc, char **argv, struct err *err)
{
	if (argc == 2 && argv[1][0] != '-')
		return 0;
	return err_set(err, EINVAL, "%s: one name is needed: cordon %s NAME", argv[0], argv[0]);
}

/* What the guest may have left in shares for git on the host to fall over. */
static void print_planted(const struct message *answer)
{
	const json_t *list = json_object_get(answer->body, "planted"), *text;
	size_t i;

	json_array_foreach(list, i, text) if (json_is_string(text))
		log_warning("%s", json_string_value(text));
}

static int simple(int argc, char **argv, json_t *request)
{
	struct message answer;
	struct err err;
	int ret = one_name(argc, argv, &err);

	if (ret < 0)
		json_decref(request);
	else
		ret = client_ask_once(argv[1], 0, request, &answer, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	print_planted(&answer);
	message_clear(&answer);
	return 0;
}

int cmd_pause(int argc, char **argv)
{
	return simple(argc, argv, json_pack("{s:s}", "op", "pause"));
}

int cmd_resume(int argc, char **argv)
{
	return simple(argc, argv, json_pack("{s:s}", "op", "resume"));
}

int cmd_stop(int argc, char **argv)
{
	return simple(argc, argv, json_pack("{s:s}", "op", "stop"));
}

/* What has ended answers from its record. */
static int wait_for_record(const char *id, struct err *err)
{
	struct record_info info;
	int tries, ret = record_read(id, &info, err);

	/* A monitor that was killed holds its record until its last thread has gone. */
	for (tries = 0; ret == 0 && info.lives && tries < DYINGS; tries++) {
		usleep(DYING_US);
		ret = record_read(id, &info, err);
	}
	if (ret == 0 && info.lives)
		return err_set(err, EBUSY, "%s runs in another session (process %d)", id,
			       (int)info.pid);
	if (ret == 0 && record_failed(&info))
		return err_set(err, EIO, "%s: %s", id, record_reason(&info));
	return ret;
}

/* Waits for the end, and fails if the sandbox did. */
int cmd_wait(int argc, char **argv)
{
	struct message answer;
	const char *why;
	struct err err;
	int ret = one_name(argc, argv, &err);

	if (ret == 0)
		ret = record_check_id(argv[1], &err);
	if (ret == 0)
		ret = strchr(argv[1], '~')
			      ? -ESRCH
			      : client_ask_once(argv[1], 0, json_pack("{s:s}", "op", "wait"),
						&answer, &err);
	if (ret == 0) {
		why = json_string_value(json_object_get(answer.body, "message"));
		if (why)
			ret = err_set(&err, EIO, "%s: %s", argv[1], why);
		print_planted(&answer);
		message_clear(&answer);
	} else if (ret == -ESRCH || ret == -EPIPE) {
		/* It has ended before, or without a word. */
		ret = wait_for_record(argv[1], &err);
	}
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}

/* Asks first; a monitor that does not answer is killed. */
int cmd_kill(int argc, char **argv)
{
	struct message answer;
	struct err err;
	pid_t pid;
	int ret = one_name(argc, argv, &err);

	if (ret == 0)
		ret = registry_find(argv[1], &pid, &err);
	if (ret == 0) {
		ret = client_ask_once(argv[1], PATIENCE_MS,
				      json_pack("{s:s,s:b}", "op", "stop", "kill", 1), &answer,
				      &err);
		if (ret == 0) {
			print_planted(&answer);
			message_clear(&answer);
		} else {
			ret = registry_kill(argv[1], &err);
		}
		if (ret == -ESRCH) /* it was just about to go */
			ret = 0;
	}
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}

int cmd_snapshot(int argc, char **argv)
{
	struct message answer;
	char path[PATH_MAX], folder[PATH_MAX];
	struct err err;
	int ret = 0;

	if (argc != 3)
		ret = err_set(&err, EINVAL, "snapshot: cordon snapshot NAME FILE");
	else if (argv[2][0] == '/')
		snprintf(path, sizeof(path), "%s", argv[2]);
	else if (!getcwd(folder, sizeof(folder)) ||
		 snprintf(path, sizeof(path), "%s/%s", folder, argv[2]) >= (int)sizeof(path))
		ret = err_set(&err, ENAMETOOLONG, "snapshot: %s: no such folder", argv[2]);
	if (ret == 0)
		ret = client_ask_once(argv[1], 0,
				      json_pack("{s:s,s:s}", "op", "snapshot", "path", path),
				      &answer, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	message_clear(&answer);
	return 0;
}

/* Guest output: harmless on a terminal, as it is in a file. */
static void show(int fd, FILE *to)
{
	struct text_stream stream = {.keep = TEXT_LINES};
	char text[TEXT_ROOM(TEXT_STREAM_PIECE + 3)], chunk[TEXT_STREAM_PIECE];
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
		/* The lines of a console end in two characters. */
		for (i = kept = 0; i < n; i++)
			if (chunk[i] != '\r')
				chunk[kept++] = chunk[i];
		made = text_stream(&stream, chunk, (size_t)kept, text);
		fwrite(text, 1, made, to);
	}
	made = text_stream_end(&stream, text);
	fwrite(text, 1, made, to);
}

/* What the record of a sandbox that has ended has of it. */
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
int cmd_logs(int argc, char **argv)
{
	json_t *request = json_pack("{s:s}", "op", "logs");
	struct message answer = {.fds = 0};
	uint64_t job = 0;
	struct err err;
	int ret = 0;

	if ((argc != 2 && argc != 3) || argv[1][0] == '-')
		ret = err_set(&err, EINVAL, "logs: cordon logs NAME [JOB]");
	if (ret == 0)
		ret = record_check_id(argv[1], &err);
	if (ret == 0 && argc == 3)
		ret = cli_parse_number(argv[2], 1, INT32_MAX, &job, &err);
	if (ret == 0 && job)
		json_object_set_new(request, "job", json_integer((json_int_t)job));
	if (ret == 0 && !strchr(argv[1], '~')) {
		ret = client_ask_once(argv[1], 0, request, &answer, &err);
	} else {
		json_decref(request);
		ret = ret < 0 ? ret : -ESRCH;
	}
	if (ret == -ESRCH || ret == -EPIPE)
		ret = show_record(argv[1], job, &err);
	else if (ret == 0 && answer.fds > 0)
		show(answer.fd[0], stdout);
	if (ret == 0 && answer.fds > 1)
		show(answer.fd[1], stderr);
	if (ret == 0)
		message_clear(&answer);
	else
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void print_info(const json_t *info)
{
	const json_t *jobs = json_object_get(info, "jobs");
	json_int_t started = json_integer_value(json_object_get(info, "started"));
	json_int_t age = started ? time(NULL) - started : 0;

	if (records_print(info))
		return;
	text_line(stdout, "%-24s %-8s %8lld %6lldM %5lld %5zu %8llds",
		  json_string_value(json_object_get(info, "name")),
		  json_string_value(json_object_get(info, "state")),
		  (long long)json_integer_value(json_object_get(info, "pid")),
		  (long long)json_integer_value(json_object_get(info, "memory")) >> 20,
		  (long long)json_integer_value(json_object_get(info, "cpus")),
		  json_array_size(jobs), (long long)(age > 0 ? age : 0));
}

/* What ps says of a sandbox; NULL if it has just ended. One that hangs must not hide the others. */
static json_t *ask_info(const struct registry_entry *entry)
{
	struct message answer;
	struct err err;
	json_t *info;
	pid_t pid;
	int ret = client_ask_once(entry->name, PATIENCE_MS, json_pack("{s:s}", "op", "info"),
				  &answer, &err);

	if (ret < 0 && registry_find(entry->name, &pid, NULL) < 0)
		return NULL;
	if (ret < 0)
		return json_pack("{s:s,s:I,s:s}", "name", entry->name, "pid",
				 (json_int_t)entry->pid, "state",
				 ret == -EAGAIN ? "starting" : "hangs");
	info = json_incref(answer.body);
	message_clear(&answer);
	json_object_del(info, "ok");
	json_object_del(info, "id");
	return info;
}

struct ps_options {
	bool all, json;
};

static int set_all(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct ps_options *)arg)->all = true;
	return 0;
}

static int set_json(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct ps_options *)arg)->json = true;
	return 0;
}

static const struct cli_option ps_option_table[] = {
	{"all", 'a', NULL, "those that have ended too, with how they ended", set_all},
	{"json", 0, NULL, "a list of JSON objects", set_json},
};

void help_ps(void)
{
	printf("\nOptions:\n");
	cli_print_options(ps_option_table, ARRAY_SIZE(ps_option_table));
}

static int list_running(json_t *list, struct err *err)
{
	struct registry_entry *entries = NULL;
	int i, count = registry_list(&entries, err);

	for (i = 0; i < count; i++) {
		json_t *info = ask_info(&entries[i]);

		if (info)
			json_array_append_new(list, info);
	}
	free(entries);
	return count < 0 ? count : 0;
}

int cmd_ps(int argc, char **argv)
{
	struct ps_options options = {.all = false};
	const struct cli_options table = {ps_option_table, ARRAY_SIZE(ps_option_table), &options};
	json_t *list = json_array();
	struct err err = {.text = ""};
	int at = cli_parse(&table, 1, argc, argv, &err), ret = at < 0 ? at : 0;
	size_t i;

	if (ret == 0 && at < argc)
		ret = err_set(&err, EINVAL, "ps: takes options only, not '%.60s'", argv[at]);
	if (ret == 0)
		ret = list_running(list, &err);
	if (ret == 0 && options.all)
		ret = records_append(list, &err);
	if (ret == 0 && options.json) {
		print_json(list, JSON_INDENT(2));
	} else if (ret == 0) {
		printf("%-24s %-8s %8s %7s %5s %5s %9s%s\n", "NAME", "STATE", "PID", "MEMORY",
		       "CPUS", "JOBS", "AGE", options.all ? "  END" : "");
		for (i = 0; i < json_array_size(list); i++)
			print_info(json_array_get(list, i));
	}
	json_decref(list);
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}
