/* SPDX-License-Identifier: Apache-2.0 */
/* cordon ps: the sandboxes that run, and those that have ended. */
#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"
#include "vmm/cli/request.h"
#include "vmm/control/record.h"
#include "vmm/control/registry.h"

#define SECOND_NS 1000000000

/* --- ended sandboxes -------------------------------------------------------------------------- */

/* A string from a record's file, which may contain any bytes. */
static json_t *text_of(const char *text)
{
	json_t *json = json_string(text);

	return json ? json : json_string("?");
}

static json_t *describe(const struct record_info *info)
{
	json_t *item = json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o,s:s,s:o}", "name", info->id, "state",
				 "ended", "kind", text_of(info->kind), "policy",
				 text_of(info->policy), "pid", (json_int_t)info->pid, "started",
				 (json_int_t)(info->started_ns / SECOND_NS), "audit",
				 text_of(info->audit), "end", record_end_name(info->end), "reason",
				 text_of(record_reason(info)));

	/* A killed monitor left neither a status nor a time. */
	if (item && info->end != RECORD_NONE) {
		json_object_set_new(item, "status", json_integer(info->status));
		json_object_set_new(item, "finished", json_integer(info->finished_ns / SECOND_NS));
	}
	return item;
}

static int append_ended(json_t *list, struct err *err)
{
	struct record_info *infos;
	int i, count = record_list(&infos, err);

	for (i = 0; i < count; i++)
		if (!infos[i].lives)
			json_array_append_new(list, describe(&infos[i]));
	free(infos);
	return count < 0 ? count : 0;
}

static bool print_ended(const json_t *item)
{
	const char *reason = json_string_value(json_object_get(item, "reason"));
	const json_t *status = json_object_get(item, "status");
	json_int_t finished = json_integer_value(json_object_get(item, "finished"));

	if (!reason)
		return false;
	printf("%-24s %-8s %8lld %7s %5s %5s ", json_string_value(json_object_get(item, "name")),
	       "ended", (long long)json_integer_value(json_object_get(item, "pid")), "-", "-", "-");
	if (finished)
		printf("%8llds", (long long)(time(NULL) - finished));
	else
		printf("%9s", "-");
	if (status)
		printf("  status %lld, ", (long long)json_integer_value(status));
	else
		printf("  ");
	/* The reason may contain text of the guest. */
	text_put(stdout, reason);
	putchar('\n');
	return true;
}

/* --- running sandboxes ------------------------------------------------------------------------ */

static void add_note(char *notes, size_t size, const char *note)
{
	size_t used = strlen(notes);

	snprintf(notes + used, size - used, "%s%s", used ? ", " : "  ", note);
}

/* What waits for an operator, where the memory is, and whether the network has ended. */
static const char *notes_of(const json_t *info, char *notes, size_t size)
{
	long long questions = json_integer_value(json_object_get(info, "questions"));
	char text[40];

	notes[0] = '\0';
	snprintf(text, sizeof(text), "%lld question%s", questions, questions == 1 ? "" : "s");
	if (questions > 0)
		add_note(notes, size, text);
	if (json_is_true(json_object_get(info, "spilled")))
		add_note(notes, size, "memory on disk");
	if (json_is_true(json_object_get(info, "network_lost")))
		add_note(notes, size, "network lost");
	return notes;
}

static void print_info(const json_t *info)
{
	char notes[96];
	const json_t *jobs = json_object_get(info, "jobs");
	json_int_t started = json_integer_value(json_object_get(info, "started"));
	json_int_t age = started ? time(NULL) - started : 0;

	if (print_ended(info))
		return;
	text_line(stdout, "%-24s %-8s %8lld %6lldM %5lld %5zu %8llds%s",
		  json_string_value(json_object_get(info, "name")),
		  json_string_value(json_object_get(info, "state")),
		  (long long)json_integer_value(json_object_get(info, "pid")),
		  (long long)json_integer_value(json_object_get(info, "memory")) >> 20,
		  (long long)json_integer_value(json_object_get(info, "cpus")),
		  json_array_size(jobs), (long long)(age > 0 ? age : 0),
		  notes_of(info, notes, sizeof(notes)));
}

/* Describes a sandbox; NULL if it has just ended. One that hangs must not hide the others. */
static json_t *ask_info(const struct registry_entry *entry)
{
	struct message reply;
	struct err err;
	json_t *info;
	pid_t pid;
	int ret = client_request_once(entry->name, PATIENCE_MS, json_pack("{s:s}", "op", "info"),
				      &reply, &err);

	if (ret < 0 && registry_find(entry->name, &pid, NULL) < 0)
		return NULL;
	if (ret < 0)
		return json_pack("{s:s,s:I,s:s}", "name", entry->name, "pid",
				 (json_int_t)entry->pid, "state",
				 ret == -EAGAIN ? "starting" : "hangs");
	info = json_incref(reply.body);
	message_clear(&reply);
	json_object_del(info, "ok");
	json_object_del(info, "id");
	return info;
}

struct ps_options {
	bool all, json, quiet;
	const char *format;
};

static const struct option_entry entries[] = {
	{"all", 'a', OPTION_FLAG, NULL, "also those that have ended, with how they ended",
	 "With NAME: also detached commands that have ended, while their output is kept.",
	 .offset = offsetof(struct ps_options, all)},
	{"json", 0, OPTION_FLAG, NULL, "print a list of JSON objects",
	 .offset = offsetof(struct ps_options, json)},
	{"quiet", 'q', OPTION_FLAG, NULL, "print only names",
	 .offset = offsetof(struct ps_options, quiet)},
	{"format", 0, OPTION_STRING, "FORMAT",
	 "json, table, or a line such as '{{.Name}} {{.State}}'",
	 "In a line each {{.FIELD}} stands for that field of the JSON object, whatever the case.",
	 .offset = offsetof(struct ps_options, format)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* --- a line of the user's --------------------------------------------------------------------- */

static void print_field(const json_t *info, const char *name, size_t length)
{
	const char *key;
	json_t *value;

	/* Other tools' fields: a sandbox has one name, which is what identifies it. */
	if ((length == 5 && strncasecmp(name, "names", 5) == 0) ||
	    (length == 2 && strncasecmp(name, "id", 2) == 0)) {
		name = "name";
		length = 4;
	}
	json_object_foreach((json_t *)(uintptr_t)info, key, value)
	{
		if (strlen(key) != length || strncasecmp(key, name, length) != 0)
			continue;
		if (json_is_string(value))
			text_put(stdout, json_string_value(value));
		else if (json_is_integer(value))
			printf("%lld", (long long)json_integer_value(value));
		else if (json_is_boolean(value))
			printf("%s", json_is_true(value) ? "true" : "false");
		else
			printf("%zu", json_array_size(value));
	}
}

static void print_line(const json_t *info, const char *format)
{
	const char *end;

	while (*format) {
		end = strncmp(format, "{{.", 3) == 0 ? strstr(format, "}}") : NULL;
		if (end) {
			print_field(info, format + 3, (size_t)(end - format) - 3);
			format = end + 2;
		} else {
			putchar(*format++);
		}
	}
	putchar('\n');
}

static void print_list(const json_t *list, const struct ps_options *options)
{
	const char *line = options->quiet ? "{{.name}}" : options->format;
	const json_t *info;
	size_t i;

	if (options->json) {
		print_json(list, JSON_INDENT(2));
		return;
	}
	if (!line)
		printf("%-24s %-8s %8s %7s %5s %5s %9s%s\n", "NAME", "STATE", "PID", "MEMORY",
		       "CPUS", "JOBS", "AGE", options->all ? "  END" : "  NOTES");
	json_array_foreach(list, i, info) if (line) print_line(info, line);
	else print_info(info);
}

static int list_running(json_t *list, struct err *err)
{
	struct registry_entry *running = NULL;
	int i, count = registry_list(&running, err);

	for (i = 0; i < count; i++) {
		json_t *info = ask_info(&running[i]);

		if (info)
			json_array_append_new(list, info);
	}
	free(running);
	return count < 0 ? count : 0;
}

/* --- one sandbox ------------------------------------------------------------------------------ */

static const char *job_state(const json_t *job)
{
	if (json_object_get(job, "status"))
		return "ended";
	if (json_is_true(json_object_get(job, "session")))
		return json_is_true(json_object_get(job, "attached")) ? "attached" : "shell";
	return json_is_true(json_object_get(job, "detached")) ? "detached" : "running";
}

static void print_jobs(const json_t *jobs)
{
	const json_t *job;
	size_t i;

	for (i = 0; i < json_array_size(jobs); i++) {
		job = json_array_get(jobs, i);
		text_line(stdout, "%-6lld %-8s %8llds  %s",
			  (long long)json_integer_value(json_object_get(job, "job")),
			  job_state(job),
			  (long long)(time(NULL) -
				      json_integer_value(json_object_get(job, "started"))),
			  json_string_value(json_object_get(job, "command")));
	}
}

/* Its commands: those that run, and detached ones whose output is kept. */
static int show_one(const char *name, const struct ps_options *options, struct err *err)
{
	struct message reply;
	int ret = client_request_once(name, PATIENCE_MS, json_pack("{s:s}", "op", "info"), &reply,
				      err);

	if (ret < 0)
		return ret;
	json_object_del(reply.body, "ok");
	json_object_del(reply.body, "id");
	if (options->json) {
		print_json(reply.body, JSON_INDENT(2));
	} else {
		printf("%-6s %-8s %9s  %s\n", "JOB", "STATE", "AGE", "COMMAND");
		print_jobs(json_object_get(reply.body, "jobs"));
		if (options->all)
			print_jobs(json_object_get(reply.body, "ended"));
	}
	message_clear(&reply);
	return 0;
}

static int run(int argc, char **argv, struct err *err)
{
	struct ps_options options = {.all = false};
	const struct option_set set = {&table, &options};
	static const struct verb_words words = {.verb = &verb_ps, .most = 1};
	json_t *list;
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	if (options.format && strcmp(options.format, "json") == 0)
		options.json = true;
	if (options.format && (options.json || strcmp(options.format, "table") == 0))
		options.format = NULL;
	if (ret > 0)
		return show_one(argv[1], &options, err);
	list = json_array();
	ret = list_running(list, err);
	if (ret == 0 && options.all)
		ret = append_ended(list, err);
	if (ret == 0)
		print_list(list, &options);
	json_decref(list);
	return ret;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_ps = {
	.name = "ps",
	.group = VERB_SANDBOXES,
	.usage = "[options] [NAME]",
	.summary = "list the sandboxes that run, and with -a those that have ended",
	.description = "With NAME: the commands and shells of that sandbox, with the job numbers "
		       "that `logs` and `attach` take. The notes say how many questions and "
		       "proposals wait for an operator (`cordon ask NAME`), and whether the memory "
		       "of a frozen sandbox is on disk (`on-ask freeze spill=TIME`).",
	.options = tables,
	.see_also = "stats rm ask",
	.run = run,
};
