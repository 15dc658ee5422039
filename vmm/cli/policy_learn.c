/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy learn: a policy from what a log shows. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/learn_pattern.h"
#include "vmm/cli/policy.h"
#include "vmm/cli/verb.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/process_groups.h"

#define LEARN_MAX 100000 /* different objects */

struct learned {
	char *text; /* the rule without its verdict: "/w/a", or "tls a:443" */
	int action; /* the highest that was wanted */
	bool is_protected;
};

struct lesson {
	struct learned *item[POLICY_CLASSES];
	size_t count[POLICY_CLASSES], room[POLICY_CLASSES];
	size_t left_out, without_path;
	uint32_t open; /* groups of system calls, one bit of each */
	bool checks;   /* the log has decisions about programs, loaders and libraries included */
};

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct learned *)a)->text, ((const struct learned *)b)->text);
}

static int add_item(struct lesson *lesson, enum policy_class class, const char *text, int action,
		    bool is_protected, struct err *err)
{
	struct learned *more;

	if (lesson->count[class] == LEARN_MAX)
		return err_set(err, E2BIG, "the log has more than %d lines to learn from",
			       LEARN_MAX);
	if (lesson->count[class] == lesson->room[class]) {
		lesson->room[class] = lesson->room[class] ? 2 * lesson->room[class] : 256;
		more = realloc(lesson->item[class], lesson->room[class] * sizeof(*more));
		if (!more)
			return err_set(err, ENOMEM, "out of memory");
		lesson->item[class] = more;
	}
	more = &lesson->item[class][lesson->count[class]];
	*more = (struct learned){.text = strdup(text), .action = action};
	more->is_protected = is_protected;
	if (!more->text)
		return err_set(err, ENOMEM, "out of memory");
	lesson->count[class]++;
	return 0;
}

static int learn_path(struct lesson *lesson, const struct policy_request *request, const char *path,
		      size_t length, struct err *err)
{
	enum policy_action action = policy_needed_action(request->class, request->op);
	char pattern[LEARN_PATTERN_SIZE];

	if (!learn_pattern(path, length, pattern)) {
		lesson->left_out++;
		return 0;
	}
	return add_item(lesson, request->class, pattern, action,
			request->class == POLICY_FILE &&
				policy_protected(path, length, action > POLICY_ACTION_READ),
			err);
}

/* A name that displays as another would make a rule that the operator did not agree to. */
static bool is_plain(const char *text)
{
	return !text || text_is_safe(text, strlen(text), 0);
}

/* What `audit processes` logs: a program's path, which is empty if it has none. */
static int learn_start(struct lesson *lesson, const struct audit_entry *entry, struct err *err)
{
	if (entry->request.class != POLICY_EXEC || !entry->request.object)
		return 0;
	if (entry->request.length == 0) {
		lesson->without_path++;
		return 0;
	}
	if (!entry->exact) {
		lesson->left_out++;
		return 0;
	}
	return learn_path(lesson, &entry->request, entry->request.object, entry->request.length,
			  err);
}

static int learn_entry(void *arg, const char *line, size_t length, const json_t *json,
		       struct err *err)
{
	static struct policy_explanation explanation;
	struct lesson *lesson = arg;
	struct audit_entry entry;
	struct policy *nothing;
	uint32_t open;
	int ret;

	(void)line;
	(void)length;
	audit_entry_read(&entry, json);
	if (audit_entry_groups(json, &open))
		lesson->open |= open;
	if (entry.event && strcmp(entry.event, "process-start") == 0)
		return learn_start(lesson, &entry, err);
	/* That a name was hidden does not show that the work needs it. */
	if (!entry.is_decision || entry.request.op == POLICY_LOOKUP)
		return 0;
	if (policy_request_is_pathless(&entry.request)) {
		lesson->without_path++;
		return 0;
	}
	if (!entry.exact || !is_plain(entry.request.object) || !is_plain(entry.request.other) ||
	    !is_plain(entry.request.net.name)) {
		lesson->left_out++;
		return 0;
	}
	if (entry.request.class != POLICY_NET) {
		lesson->checks |= entry.request.class == POLICY_EXEC;
		ret = learn_path(lesson, &entry.request, entry.request.object, entry.request.length,
				 err);
		if (ret == 0 && entry.request.other)
			ret = learn_path(lesson, &entry.request, entry.request.other,
					 entry.request.other_length, err);
		return ret;
	}
	/* A query that was allowed needs no line: a rule about a connection permits it. */
	if (entry.request.op != POLICY_CONNECT &&
	    (entry.request.op != POLICY_RESOLVE || strcmp(entry.verdict, "deny") != 0))
		return 0;
	/* Without a name or address the rule would match every target. */
	if (!learn_is_host_name(entry.request.net.name) ||
	    (!entry.request.net.name && !entry.request.net.host && !entry.request.net.family)) {
		lesson->left_out++;
		return 0;
	}
	/* A rule for the host: one for each path that was seen would fit no other run. */
	entry.request.net.method = NULL;
	ret = policy_preset(&nothing, "locked", NULL, err);
	if (ret < 0)
		return ret;
	policy_explain(nothing, &entry.request, &explanation);
	policy_free(nothing);
	return add_item(lesson, POLICY_NET, explanation.line + strlen("net allow "),
			POLICY_ACTION_ALLOW, false, err);
}

/* Keeps one line for each object, with the highest verdict that was needed. */
static size_t merge(struct learned *item, size_t count)
{
	size_t i, kept = 0;

	qsort(item, count, sizeof(*item), by_text);
	for (i = 0; i < count; i++) {
		if (kept == 0 || strcmp(item[kept - 1].text, item[i].text) != 0) {
			item[kept++] = item[i];
			continue;
		}
		if (item[i].action > item[kept - 1].action)
			item[kept - 1].action = item[i].action;
		item[kept - 1].is_protected |= item[i].is_protected;
		free(item[i].text);
	}
	return kept;
}

/* That a group was open does not show that the work needs it. */
static void print_groups(const struct lesson *lesson)
{
	const bool execs = lesson->count[POLICY_EXEC] > 0;
	unsigned group;

	for (group = 0; group < POLICY_GROUPS; group++)
		if (lesson->open & 1u << group && (!process_groups[group].open ||
						   (execs && process_groups[group].closed_by_exec)))
			printf("# was open, used or not: process allow %s\n",
			       policy_group_name((enum policy_group)group));
}

/* What the starts of processes do not show. */
static void print_programs(const struct lesson *lesson)
{
	if (lesson->count[POLICY_EXEC] == 0 || lesson->checks)
		return;
	printf("# 'audit processes' logs no loaders and libraries, which this rule allows, and no "
	       "scripts:\n"
	       "exec allow /usr/lib*/** /lib*/**\n"
	       "# Exec rules close ptrace, userns and memfd-exec: 'process allow GROUP' opens "
	       "one.\n");
}

static void print_lesson(const struct lesson *lesson)
{
	const struct learned *item;
	unsigned class;
	size_t i;

	printf("policy 1\n# Each line is one thing that the log shows. Shares are to be added: "
	       "share HOST GUEST\n");
	for (class = 0; class < POLICY_CLASSES; class ++)
		for (i = 0; i < lesson->count[class]; i++) {
			item = &lesson->item[class][i];
			text_line(stdout, "%s%s %s %s",
				  item->is_protected ? "# protected, not proposed: " : "",
				  policy_class_name((enum policy_class) class),
				  policy_action_name((enum policy_action)item->action), item->text);
		}
	print_programs(lesson);
	print_groups(lesson);
	if (lesson->left_out)
		printf("# left out: %zu objects with control characters or other bytes that no "
		       "policy can have in it\n",
		       lesson->left_out);
	if (lesson->without_path)
		printf("# left out: programs without a path in the sandbox, which no rule can "
		       "allow: %zu\n",
		       lesson->without_path);
}

int policy_learn(int argc, char **argv, struct err *err)
{
	struct lesson lesson = {.left_out = 0};
	char path[PATH_MAX];
	unsigned class;
	size_t i;
	static const struct verb_words words = {&verb_policy, "learn", 1, 1, "from which log?"};
	const char *log;
	char **rest;
	int ret = audit_log_words(&words, argc, argv, &log, &rest, err);

	if (ret < 0)
		return ret;
	ret = audit_log_find(log, path, err);
	if (ret == 0)
		ret = audit_log_read(path, NULL, learn_entry, &lesson, err);
	for (class = 0; ret == 0 && class < POLICY_CLASSES; class ++)
		lesson.count[class] = merge(lesson.item[class], lesson.count[class]);
	if (ret == 0)
		print_lesson(&lesson);
	for (class = 0; class < POLICY_CLASSES; class ++) {
		for (i = 0; i < lesson.count[class]; i++)
			free(lesson.item[class][i].text);
		free(lesson.item[class]);
	}
	return ret;
}
