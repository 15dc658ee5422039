/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/question.h"

#include <stdio.h>
#include <string.h>

#include "vmm/cli/fields.h"
#include "vmm/base/text.h"
#include "vmm/control/client.h"

static long long count_in(const json_t *question, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(question, "history"), name));
}

long long question_number(const json_t *question)
{
	return json_integer_value(json_object_get(question, "question"));
}

/* The rule has been parsed; the reason is whatever the guest says: of several callers the first's.
 */
static void print_proposal(FILE *to, const json_t *proposal)
{
	long long callers = json_integer_value(json_object_get(proposal, "callers"));

	text_line(to, "%lld: the guest proposes: %s", question_number(proposal),
		  text_in(proposal, "text"));
	if (callers > 1)
		fprintf(to, "   %lld programs wait for it\n", callers);
	text_line(to, "   reason (the guest's word): %s",
		  text_in(proposal, "reason")[0] ? text_in(proposal, "reason") : "none");
	text_line(to, "   %s", text_in(proposal, "adds"));
}

static void print_history(FILE *to, long long asked, long long allowed, long long denied,
			  long long unattended)
{
	fprintf(to, "   before: asked %lld time%s, %lld allowed, %lld denied", asked,
		asked == 1 ? "" : "s", allowed, denied - unattended);
	if (unattended > 0)
		fprintf(to, ", %lld denied without an operator", unattended);
	fputc('\n', to);
}

/* Which process it is about, in the guest's words: only questions about programs have one. */
static void print_process(FILE *to, const json_t *question)
{
	const json_t *process = json_object_get(question, "process");
	const char *program = process ? text_in(process, "program") : "";

	if (!process) {
		text_line(to, "   %s %s by an unknown process; rule: %s",
			  text_in(question, "class"), text_in(question, "operation"),
			  text_in(question, "rule_text"));
		return;
	}
	text_line(to, "   %s %s by process %lld of user %lld (%s), as the guest says; rule: %s",
		  text_in(question, "class"), text_in(question, "operation"),
		  count_in(process, "pid"), count_in(process, "uid"),
		  *program ? program : "a new command", text_in(question, "rule_text"));
}

void question_print(FILE *to, const json_t *question)
{
	long long asked = count_in(question, "asked"), allowed = count_in(question, "allowed"),
		  denied = count_in(question, "denied");

	if (strcmp(text_in(question, "kind"), "proposal") == 0) {
		print_proposal(to, question);
		return;
	}
	text_line(to, "%lld: %s? (%s)", question_number(question), text_in(question, "text"),
		  text_in(question, "rule"));
	print_process(to, question);
	if (json_is_true(json_object_get(question, "frozen")))
		fprintf(to, "   the sandbox stands still until this is answered\n");
	if (asked + allowed + denied == 0)
		fprintf(to, "   before: nothing\n");
	else
		print_history(to, asked, allowed, denied, count_in(question, "unattended"));
}

int question_find(const char *name, long long number, json_t **question, struct err *err)
{
	struct message reply;
	const json_t *list;
	json_t *item;
	size_t i;
	int ret = client_request_once(name, 0, json_pack("{s:s}", "op", "questions"), &reply, err);

	*question = NULL;
	if (ret < 0)
		return ret;
	list = json_object_get(reply.body, "questions");
	for (i = 0; i < json_array_size(list) && !*question; i++) {
		item = json_array_get(list, i);
		if (question_number(item) == number)
			*question = json_incref(item);
	}
	message_clear(&reply);
	return 0;
}

const char *question_reason(char **words, int count, char *to, size_t size)
{
	size_t used = 0;
	int i;

	for (i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(to + used, size - used, "%s%s", i ? " " : "", words[i]);
	return count > 0 ? to : NULL;
}
