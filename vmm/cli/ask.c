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
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"
#include "vmm/control/client.h"

#define WATCH_ID       1
#define LINE_MAX_BYTES 256

struct watcher {
	const char *name;
	bool json;
	int fd;
	uint64_t last_id;
	char line[LINE_MAX_BYTES];
	size_t length;
	bool too_long;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print each question and decision as a JSON object a line",
	 .offset = offsetof(struct watcher, json)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static const char *text_in(const json_t *body, const char *name)
{
	const char *text = json_string_value(json_object_get(body, name));

	return text ? text : "";
}

static void show_json(const json_t *body)
{
	print_json(body, JSON_COMPACT);
	fflush(stdout);
}

static long long count_in(const json_t *question, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(question, "history"), name));
}

/* No class has questions yet of which the process is known. */
static void show_context(const json_t *question)
{
	long long asked = count_in(question, "asked"), allowed = count_in(question, "allowed"),
		  denied = count_in(question, "denied");

	text_line(stdout, "   %s %s by an unknown process; rule: %s", text_in(question, "class"),
		  text_in(question, "operation"), text_in(question, "rule_text"));
	if (asked + allowed + denied == 0)
		printf("   before: nothing\n");
	else
		printf("   before: asked %lld times, %lld allowed, %lld denied\n", asked, allowed,
		       denied);
}

static void show_question(const struct watcher *watcher, const json_t *question)
{
	if (watcher->json) {
		show_json(question);
		return;
	}
	text_line(stdout, "%lld: %s? (%s)",
		  (long long)json_integer_value(json_object_get(question, "question")),
		  text_in(question, "text"), text_in(question, "rule"));
	show_context(question);
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

/* A message of the monitor: a question, the end of one, or the reply to a decision. */
static void show_message(const struct watcher *watcher, const json_t *body)
{
	const char *event = text_in(body, "event");

	if (strcmp(event, "asked") == 0)
		show_question(watcher, body);
	else if (strcmp(event, "over") == 0 && watcher->json)
		show_json(body);
	else if (strcmp(event, "over") == 0)
		text_line(stdout, "%lld: %s",
			  (long long)json_integer_value(json_object_get(body, "question")),
			  text_in(body, "how"));
	else if (text_in(body, "error")[0])
		log_error("%s", text_in(body, "error"));
	else if (!watcher->json)
		show_line(body);
	fflush(stdout);
}

/* --- decisions -------------------------------------------------------------------------------- */

static json_t *make_decision(const char *number, const char *decision, uint64_t id, struct err *err)
{
	uint64_t question;
	int ret = quantity_number(number, 1, INT32_MAX, &question, err);

	return ret < 0 ? NULL
		       : json_pack("{s:s,s:I,s:I,s:s}", "op", "answer", "id", (json_int_t)id,
				   "question", (json_int_t)question, "answer", decision);
}

static int send_line(struct watcher *watcher, struct err *err)
{
	char *number, *decision, *rest = NULL;
	struct err why;
	json_t *body;

	number = strtok_r(watcher->line, " \t\r", &rest);
	decision = strtok_r(NULL, " \t\r", &rest);
	if (!number)
		return 0;
	body = decision ? make_decision(number, decision, ++watcher->last_id, &why) : NULL;
	if (body)
		return client_send(watcher->fd, body, NULL, 0, err);
	log_error("give a question's number and once, session, always, no or never");
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

/* Decides one question without attaching as operator. */
static int decide_one(const char *name, const char *number, const char *decision, struct err *err)
{
	json_t *body = make_decision(number, decision, WATCH_ID, err);
	struct message reply;
	int ret = body ? client_request_once(name, 0, body, &reply, err) : -EINVAL;

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
	int at = options_parse(&set, 1, argc, argv, err);

	if (at < 0)
		return at;
	if (at + 1 != argc && at + 3 != argc)
		return verb_usage_error(&verb_ask, NULL, "one name is needed", err);
	if (at + 3 == argc)
		return decide_one(argv[at], argv[at + 1], argv[at + 2], err);
	watcher.name = argv[at];
	return watch(&watcher, err);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_ask = {
	.name = "ask",
	.group = VERB_POLICY,
	.usage = "[--json] NAME\n"
		 "NAME N DECISION",
	.summary = "decide as operator what a sandbox's policy leaves to a person",
	.description =
		"Shows what rules with the verdict `ask` have stopped, one question a line, and "
		"reads decisions from standard input: a line with the question's number and one "
		"of\n"
		"\n"
		"  once     yes, for what waits now       no       no, for what waits now\n"
		"  session  yes, while NAME lives         never    no, while NAME lives\n"
		"  always   as session, and print the line to add to the policy\n"
		"\n"
		"With N and DECISION it decides question N in place of another operator.\n"
		"\n"
		"Without an operator, and without `--on-ask`, such rules deny. A question without "
		"a decision is refused after 60 seconds.",
	.options = tables,
	.notes = "Ends at the end of standard input, or with the sandbox.",
	.see_also = "policy run cordon-policy(5)",
	.run = run,
};
