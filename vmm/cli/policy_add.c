/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy add, undo: change the policy of a running sandbox by one line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/cli/policy.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/cli/print.h"
#include "vmm/cli/reach.h"
#include "vmm/cli/verb.h"
#include "vmm/policy/added.h"

/* Joins words with blanks. NULL with a message. */
static char *join(char **words, int count, struct err *err)
{
	size_t length = 1;
	char *line, *to;
	int i;

	for (i = 0; i < count; i++)
		length += strlen(words[i]) + 1;
	line = to = calloc(1, length);
	if (!line) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < count; i++)
		to += sprintf(to, "%s%s", i ? " " : "", words[i]);
	return line;
}

/* --- add -------------------------------------------------------------------------------------- */

struct add_options {
	bool dry_run, json;
};

static const struct option_entry entries[] = {
	{"dry-run", 0, OPTION_FLAG, NULL,
	 "add nothing; print broader and narrower rules, and the logged decisions it would change",
	 .offset = offsetof(struct add_options, dry_run)},
	{"json", 0, OPTION_FLAG, NULL, "print a JSON object",
	 .offset = offsetof(struct add_options, json)},
};

const struct option_table policy_add_option_table = {"Options", entries, ARRAY_SIZE(entries)};

static void print_added(const struct added_line *added, bool json)
{
	char rule[32];
	json_t *body;

	snprintf(rule, sizeof(rule), POLICY_ADDED ":%u", added->number);
	if (!json) {
		text_line(stdout, "%s: %s", rule, added->line);
		return;
	}
	body = json_pack("{s:s,s:s}", "rule", rule, "line", added->line);
	print_json(body, JSON_COMPACT);
	json_decref(body);
}

int policy_add(int argc, char **argv, struct err *err)
{
	struct add_options options = {.dry_run = false};
	const struct option_set set = {&policy_add_option_table, &options};
	struct added_line added = {.number = 0};
	const char *name;
	int at = options_parse_name(&set, 1, argc, argv, &name, err), ret;
	char *line;

	if (at < 0)
		return at;
	if (!name)
		return verb_usage_error(&verb_policy, "add", "to which sandbox?", err);
	if (at == argc)
		return verb_usage_error(&verb_policy, "add", "which rule?", err);
	line = join(argv + at, argc - at, err);
	if (!line)
		return -ENOMEM;
	added.line = line;
	if (options.dry_run) {
		ret = reach_print(name, line, options.json, err);
	} else {
		ret = policy_change(name, policy_edit_add, &added, err);
		if (ret == 0)
			print_added(&added, options.json);
	}
	free(line);
	if (ret == -ESRCH && policy_preset_text(name))
		return err_set(err, EINVAL,
			       "policy add: %s is a preset, and stays as it is: make a file of the "
			       "lines 'policy 1', 'include %s' and the rule",
			       name, name);
	return ret;
}

/* --- undo ------------------------------------------------------------------------------------- */

static int undo_line(void *arg, const struct policy *policy, struct policy **made, struct err *err)
{
	return policy_undo_line(made, policy, arg, err);
}

int policy_undo(int argc, char **argv, struct err *err)
{
	static char line[POLICY_FILE_MAX + 1];
	static const struct verb_words words = {&verb_policy, "undo", 1, 1, "in which sandbox?"};
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = policy_change(argv[1], undo_line, line, err);
	if (ret == 0)
		text_line(stdout, "taken back: %s", line);
	return ret;
}
