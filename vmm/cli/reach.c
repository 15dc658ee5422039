/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/reach.h"

#include <jansson.h>
#include <stdio.h>

#include "vmm/base/text.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/cli/print.h"
#include "vmm/cli/replay.h"
#include "vmm/policy/added.h"
#include "vmm/policy/reach.h"

static json_t *list_of(const char line[REACH_LINES][REACH_LINE], unsigned count)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, json_string(line[i]));
	return list;
}

static int print_object(const char *line, const struct policy_reach *reach, struct replay *replay,
			const char *log, struct err *err)
{
	json_t *body;
	int ret;

	replay->list = json_array();
	ret = log[0] ? replay_log(replay, log, err) : 0;
	body = json_pack("{s:s,s:o,s:o,s:I,s:I,s:I,s:O}", "line", line, "broader",
			 list_of(reach->broader, reach->broader_count), "narrower",
			 list_of(reach->narrower, reach->narrower_count), "decisions",
			 (json_int_t)replay->decisions, "different", (json_int_t)replay->different,
			 "unknown", (json_int_t)replay->unknown, "changes", replay->list);
	if (ret == 0)
		print_json(body, JSON_COMPACT);
	json_decref(body);
	json_decref(replay->list);
	return ret;
}

static int print_lines(const char *line, const struct policy_reach *reach, struct replay *replay,
		       const char *log, struct err *err)
{
	unsigned i;
	int ret = 0;

	text_line(stdout, "%s", line);
	for (i = 0; i < reach->broader_count; i++)
		text_line(stdout, "  broader: %s", reach->broader[i]);
	for (i = 0; i < reach->narrower_count; i++)
		text_line(stdout, "  narrower: %s", reach->narrower[i]);
	if (log[0])
		ret = replay_log(replay, log, err);
	if (ret < 0)
		return ret;
	if (replay->different > replay->most)
		printf("  and %lu more\n", replay->different - replay->most);
	printf("%lu of %lu logged decisions would have been different", replay->different,
	       replay->decisions);
	if (replay->unknown)
		printf(", %lu can't be told", replay->unknown);
	printf("\n");
	return 0;
}

int reach_print(const char *name, const char *line, bool json, struct err *err)
{
	struct policy *policy = NULL, *with = NULL;
	struct policy_reach reach;
	struct replay replay = {.indent = "  ", .most = REACH_SHOWN};
	struct added_line added = {.line = line};
	char log[PATH_MAX];
	int ret = policy_fetch_edited(name, policy_edit_add, &added, &policy, &with, log, err);

	if (ret == 0) {
		policy_reach(policy_last_added(with), &reach);
		replay.policy = with;
		replay.before = policy;
		ret = (json ? print_object : print_lines)(line, &reach, &replay, log, err);
	}
	policy_free(with);
	policy_free(policy);
	return ret;
}
