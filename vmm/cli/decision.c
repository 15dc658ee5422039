/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/decision.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/cli/policy_save.h"
#include "vmm/cli/print.h"
#include "vmm/cli/reach.h"
#include "vmm/control/client.h"
#include "vmm/policy/added.h"

#define SAVE_TRIES 16

const char *decision_rule(const json_t *question, const char *word)
{
	return json_string_value(json_object_get(json_object_get(question, "lines"), word));
}

int decision_show(const struct decision *decision, struct err *err)
{
	return reach_print(decision->sandbox, decision_rule(decision->question, decision->word),
			   decision->json, err);
}

/* Fetches the sandbox's policy and saves a rule. *policy: the one before, or NULL; it is replaced.
 */
static int save_once(const struct decision *decision, const char *above, const char *line,
		     struct policy **policy, struct saved_rule *saved, struct err *err)
{
	struct policy *before = *policy;
	bool same;
	int ret;

	*policy = NULL;
	ret = policy_fetch(decision->sandbox, policy, NULL, err);
	same = ret == 0 && before && strcmp(policy_text(*policy), policy_text(before)) == 0;
	policy_free(before);
	if (ret == 0)
		ret = policy_save(*policy, above, line, saved, err);
	return ret == -ESTALE && !same ? -EAGAIN : ret;
}

/*
 * above: the rule that asked. Another operator may have added a rule and saved it after the policy
 * was fetched: then the file has a line that this policy lacks, and all is done again.
 */
static int save(const struct decision *decision, const char *above, const char *line,
		struct saved_rule *saved, struct err *err)
{
	struct policy *policy = NULL;
	unsigned tries = 0;
	int ret;

	do
		ret = save_once(decision, above, line, &policy, saved, err);
	while (ret == -EAGAIN && ++tries < SAVE_TRIES);
	policy_free(policy);
	return ret;
}

static void print_outcome(const struct decision *decision, const struct added_line *added,
			  const struct saved_rule *saved)
{
	char rule[32], file[PATH_MAX + 16] = "";
	json_t *body;

	snprintf(rule, sizeof(rule), POLICY_ADDED ":%u", added->number);
	if (saved)
		snprintf(file, sizeof(file), "%s:%u", saved->path, saved->line);
	if (decision->json) {
		body = json_pack("{s:O,s:s,s:s,s:s*}", "question",
				 json_object_get(decision->question, "question"), "rule", rule,
				 "line", added->line, "saved", saved ? file : NULL);
		print_json(body, JSON_COMPACT);
		json_decref(body);
		return;
	}
	text_line(stdout, "%s: %s", rule, added->line);
	if (saved)
		text_line(stdout, "%s: saved", file);
}

int decision_make(const struct decision *decision, struct err *err)
{
	const char *line = decision_rule(decision->question, decision->word), *before;
	struct added_line added = {.line = line};
	struct saved_rule saved;
	struct message reply;
	struct err why;
	/* First: of two operators, only the one whose decision counts changes the policy. */
	int ret = client_request_once(decision->sandbox, 0,
				      json_pack("{s:s,s:O,s:s,s:b}", "op", "answer", "question",
						json_object_get(decision->question, "question"),
						"answer", decision->word, "remember", 0),
				      &reply, err);

	if (ret < 0)
		return ret;
	/* The monitor itself adds a proposed rule. */
	added.number = (unsigned)json_integer_value(json_object_get(reply.body, "added"));
	if (added.number == 0)
		ret = policy_change(decision->sandbox, policy_edit_add, &added, &why);
	if (ret < 0)
		err_set(err, -ret, "decided once only, as the rule was not added: %s", why.text);
	before = json_string_value(json_object_get(reply.body, "before"));
	if (ret == 0 && decision->save) {
		ret = save(decision, before ? before : "", line, &saved, &why);
		if (ret < 0)
			err_set(err, -ret, "added to the sandbox's policy, but not saved: %s",
				why.text);
	}
	if (ret == 0 || added.number > 0)
		print_outcome(decision, &added, ret == 0 && decision->save ? &saved : NULL);
	message_clear(&reply);
	return ret;
}
