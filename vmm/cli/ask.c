/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon ask: attach an operator to a sandbox. Shows the questions that its policy leaves to a
 * person, and reads decisions from stdin, one a line: the question's number and once, session, ...
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/quantity.h"
#include "vmm/base/text.h"
#include "vmm/cli/decision.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/print.h"
#include "vmm/cli/question.h"
#include "vmm/cli/verb.h"
#include "vmm/control/client.h"

#define WATCH_ID       1
#define LINE_MAX_BYTES 256
#define KEY_SIZE       24 /* of the watcher's questions */

struct watcher {
	const char *name;
	bool json, save, yes;
	int fd;
	uint64_t last_id;
	json_t *open; /* questions by number */
	char line[LINE_MAX_BYTES];
	size_t length;
	bool too_long;
	json_t *pending; /* the question whose decision waits for a confirmation, or NULL */
	char pending_word[16];
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print each question and decision as a JSON object a line",
	 .offset = offsetof(struct watcher, json)},
	{"save", 0, OPTION_FLAG, NULL,
	 "write rules of `always` and `never` into the policy file too",
	 "The file on the host that has the rule which asks gets the new one above it. It must "
	 "belong "
	 "to the user, and be what the sandbox read. Presets are built in: keep a copy of one.",
	 .offset = offsetof(struct watcher, save)},
	{"yes", 'y', OPTION_FLAG, NULL, "do not ask for confirmation of `always` and `never`",
	 .offset = offsetof(struct watcher, yes)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static void show_json(const json_t *body)
{
	print_json(body, JSON_COMPACT);
	fflush(stdout);
}

static const char *key_of(long long number, char key[KEY_SIZE])
{
	snprintf(key, KEY_SIZE, "%lld", number);
	return key;
}

static void show_question(struct watcher *watcher, json_t *question)
{
	char key[KEY_SIZE];

	json_object_set(watcher->open, key_of(question_number(question), key), question);
	if (watcher->json) {
		show_json(question);
		return;
	}
	question_print(stdout, question);
	fflush(stdout);
}

static void show_line(const json_t *body)
{
	const char *line = text_in(body, "line");

	if (line[0])
		text_line(stdout, "to keep it, put this line before %s: %s",
			  text_in(body, "before"), line);
	fflush(stdout);
}

static void forget_question(struct watcher *watcher, const json_t *question)
{
	char key[KEY_SIZE];

	key_of(question_number(question), key);
	if (watcher->pending && watcher->pending == json_object_get(watcher->open, key)) {
		json_decref(watcher->pending);
		watcher->pending = NULL;
	}
	json_object_del(watcher->open, key);
}

/* A message of the monitor: a question, the end of one, or the reply to a decision. */
static void show_message(struct watcher *watcher, json_t *body)
{
	const char *event = text_in(body, "event");

	if (strcmp(event, "over") == 0)
		forget_question(watcher, body);
	if (strcmp(event, "asked") == 0)
		show_question(watcher, body);
	else if (strcmp(event, "over") == 0 && watcher->json)
		show_json(body);
	else if (strcmp(event, "over") == 0)
		text_line(stdout, "%lld: %s", question_number(body), text_in(body, "how"));
	else if (text_in(body, "error")[0])
		log_error("%s", text_in(body, "error"));
	else if (!watcher->json)
		show_line(body);
	fflush(stdout);
}

/* --- decisions -------------------------------------------------------------------------------- */

/* reason: of a proposal's refusal, or NULL. */
static json_t *make_decision(const char *number, const char *decision, const char *reason,
			     uint64_t id, struct err *err)
{
	uint64_t question;
	int ret = quantity_number(number, 1, INT32_MAX, &question, err);

	return ret < 0 ? NULL
		       : json_pack("{s:s,s:I,s:I,s:s,s:s*}", "op", "answer", "id", (json_int_t)id,
				   "question", (json_int_t)question, "answer", decision, "reason",
				   reason);
}

static struct decision decision_of(const struct watcher *watcher, const json_t *question,
				   const char *word)
{
	return (struct decision){.sandbox = watcher->name,
				 .question = question,
				 .word = word,
				 .save = watcher->save,
				 .json = watcher->json};
}

/* Makes a decision that becomes a rule. A failure is no reason to leave. */
static void keep(const struct watcher *watcher, const json_t *question, const char *word)
{
	struct decision decision = decision_of(watcher, question, word);
	struct err why;

	if (decision_make(&decision, &why) < 0)
		log_error("%s", why.text);
	fflush(stdout);
}

static bool needs_confirmation(const struct watcher *watcher)
{
	return !watcher->yes && !watcher->json && isatty(STDIN_FILENO);
}

static void prompt(const struct watcher *watcher)
{
	fprintf(stderr, "cordon: add this rule to the policy of %s? [y/N] ", watcher->name);
}

/* Shows what the rule would have changed, then adds it, or waits for a confirmation. */
static void begin_rule(struct watcher *watcher, json_t *question, const char *word)
{
	struct decision decision = decision_of(watcher, question, word);
	struct err why;

	if (decision_show(&decision, &why) < 0) {
		log_error("%s", why.text);
		return;
	}
	fflush(stdout);
	if (!needs_confirmation(watcher)) {
		keep(watcher, question, word);
		return;
	}
	watcher->pending = json_incref(question);
	snprintf(watcher->pending_word, sizeof(watcher->pending_word), "%s", word);
	prompt(watcher);
}

static bool is_yes(const char *word)
{
	return word && (strcmp(word, "y") == 0 || strcmp(word, "yes") == 0);
}

static void confirm(struct watcher *watcher, const char *word)
{
	json_t *question = watcher->pending;

	watcher->pending = NULL;
	if (is_yes(word))
		keep(watcher, question, watcher->pending_word);
	json_decref(question);
}

/* The question that a decision makes a rule of: one that was shown, or is open all the same. */
static json_t *rule_question(const struct watcher *watcher, const json_t *body)
{
	const char *word = text_in(body, "answer");
	json_t *question;
	char key[KEY_SIZE];
	struct err err;

	if (strcmp(word, "always") != 0 && strcmp(word, "never") != 0)
		return NULL;
	question = json_object_get(watcher->open, key_of(question_number(body), key));
	if (question)
		json_incref(question);
	else if (question_find(watcher->name, question_number(body), &question, &err) < 0)
		return NULL;
	if (question && !decision_rule(question, word)) {
		json_decref(question);
		question = NULL;
	}
	return question;
}

static int send_line(struct watcher *watcher, struct err *err)
{
	char *number, *word, *reason, *rest = NULL;
	json_t *body, *question;
	struct err why;

	number = strtok_r(watcher->line, " \t\r", &rest);
	word = strtok_r(NULL, " \t\r", &rest);
	if (watcher->pending) {
		confirm(watcher, number);
		return 0;
	}
	if (!number)
		return 0;
	reason = strtok_r(NULL, "\r", &rest);
	body = word ? make_decision(number, word, reason, ++watcher->last_id, &why) : NULL;
	if (!body) {
		log_error("give a question's number and once, session, always, no or never");
		return 0;
	}
	question = rule_question(watcher, body);
	if (!question)
		return client_send(watcher->fd, body, NULL, 0, err);
	begin_rule(watcher, question, word);
	json_decref(question);
	json_decref(body);
	return 0;
}

/* Reads from stdin and sends whole lines. 1; 0 at its end; -errno with a message. */
static int read_decisions(struct watcher *watcher, struct err *err)
{
	char bytes[LINE_MAX_BYTES];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes)), i;
	int ret = 0;

	if (n < 0 && errno == EINTR)
		return 1;
	for (i = 0; i < n && ret == 0; i++) {
		if (bytes[i] != '\n') {
			if (watcher->length + 1 < sizeof(watcher->line))
				watcher->line[watcher->length++] = bytes[i];
			else
				watcher->too_long = true;
			continue;
		}
		watcher->line[watcher->too_long ? 0 : watcher->length] = '\0';
		watcher->length = 0;
		watcher->too_long = false;
		ret = send_line(watcher, err);
	}
	return ret < 0 ? ret : n > 0;
}

static int begin(struct watcher *watcher, struct err *err)
{
	const json_t *list;
	struct message reply;
	size_t i;
	int ret;

	watcher->fd = client_connect(watcher->name, 0, err);
	if (watcher->fd < 0)
		return watcher->fd;
	watcher->last_id = WATCH_ID;
	ret = client_request(
		watcher->fd,
		json_pack("{s:s,s:i,s:b}", "op", "questions", "id", WATCH_ID, "watch", 1), &reply,
		err);
	if (ret < 0)
		return ret;
	list = json_object_get(reply.body, "questions");
	for (i = 0; i < json_array_size(list); i++)
		show_question(watcher, json_array_get(list, i));
	message_clear(&reply);
	if (isatty(STDIN_FILENO) && !watcher->json)
		fprintf(stderr,
			"cordon: operator of %s: NUMBER once|session|always|no|never; ^D "
			"to leave\n",
			watcher->name);
	return 0;
}

static int watch(struct watcher *watcher, struct err *err)
{
	struct pollfd ready[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	struct message message;
	int ret = begin(watcher, err);

	ready[1].fd = watcher->fd;
	while (ret == 0) {
		if (poll(ready, 2, -1) < 0)
			continue;
		if (ready[1].revents) {
			ret = client_receive(watcher->fd, &message, err);
			if (ret < 0)
				break;
			show_message(watcher, message.body);
			message_clear(&message);
		} else if (ready[0].revents) {
			ret = read_decisions(watcher, err);
			if (ret == 0)
				break;
			ret = ret < 0 ? ret : 0;
		}
	}
	fd_close(&watcher->fd);
	/* The sandbox has ended, so no question is left. */
	return ret == -EPIPE ? 0 : ret;
}

/* Asks on a terminal. */
static bool is_confirmed(const struct watcher *watcher)
{
	char line[16] = "", *rest = NULL;

	if (!needs_confirmation(watcher))
		return true;
	prompt(watcher);
	return fgets(line, sizeof(line), stdin) && is_yes(strtok_r(line, " \t\r\n", &rest));
}

static int decide_rule(const struct watcher *watcher, const json_t *question, const char *word,
		       struct err *err)
{
	struct decision decision = decision_of(watcher, question, word);
	int ret = decision_show(&decision, err);

	fflush(stdout);
	if (ret < 0 || !is_confirmed(watcher))
		return ret;
	return decision_make(&decision, err);
}

/* Decides one question without attaching as operator. */
static int decide_one(const struct watcher *watcher, const char *number, const char *word,
		      const char *reason, struct err *err)
{
	json_t *body = make_decision(number, word, reason, WATCH_ID, err), *question;
	struct message reply;
	int ret;

	if (!body)
		return -EINVAL;
	question = rule_question(watcher, body);
	if (question) {
		ret = decide_rule(watcher, question, word, err);
		json_decref(question);
		json_decref(body);
		return ret;
	}
	ret = client_request_once(watcher->name, 0, body, &reply, err);
	if (ret < 0)
		return ret;
	show_line(reply.body);
	message_clear(&reply);
	return 0;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct watcher watcher;
	const struct option_set set = {&table, &watcher};
	char reason[LINE_MAX_BYTES];
	const char *name;
	int at = options_parse_name(&set, 1, argc, argv, &name, err), ret;

	if (at < 0)
		return at;
	if (!name)
		return verb_usage_error(&verb_ask, NULL, "of which sandbox?", err);
	if (at + 1 == argc)
		return verb_usage_error(&verb_ask, NULL, "which decision?", err);
	watcher.name = name;
	watcher.open = json_object();
	if (!watcher.open)
		return err_set(err, ENOMEM, "out of memory");
	if (at + 2 <= argc)
		ret = decide_one(
			&watcher, argv[at], argv[at + 1],
			question_reason(argv + at + 2, argc - at - 2, reason, sizeof(reason)), err);
	else
		ret = watch(&watcher, err);
	json_decref(watcher.pending);
	json_decref(watcher.open);
	return ret;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_ask = {
	.name = "ask",
	.group = VERB_POLICY,
	.usage = "[options] NAME\n"
		 "[options] NAME N DECISION [REASON...]",
	.summary = "decide as operator what a sandbox's policy leaves to a person",
	.description =
		"Shows what rules with the verdicts `ask`, `ask-read` and `ask-write` have "
		"stopped, one question a line, and reads decisions from standard input: a line "
		"with the question's number and one of\n"
		"\n"
		"  once     yes, for what waits now       no       no, for what waits now\n"
		"  session  yes, while NAME lives\n"
		"  always   yes, by a rule of the policy  never    no, by a rule of the policy\n"
		"\n"
		"`always` and `never` first print the rule, broader and narrower ones, and which "
		"decisions of the audit log it would have changed. Then the rule is added to the "
		"policy of NAME; `cordon policy undo NAME` takes it back.\n"
		"\n"
		"A program in the sandbox may propose a rule (`cordon-guest propose`). That is "
		"shown as a question, too: with the guest's reason, and what the rule would add. "
		"`always` adds the rule; `no`, and what follows it as the reason, rejects it.\n"
		"\n"
		"With N and DECISION it decides question N in place of another operator.\n"
		"\n"
		"Without an operator, and without `--on-ask`, such rules deny. A question without "
		"a decision is refused after 60 seconds. The policy's `on-ask` can say otherwise: "
		"with `on-ask freeze` the sandbox stands still until an operator decides.",
	.options = tables,
	.notes = "Ends at the end of standard input, or with the sandbox.",
	.see_also = "policy run cordon-policy(5)",
	.run = run,
};
