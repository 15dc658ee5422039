/* SPDX-License-Identifier: Apache-2.0 */
/* Statements other than rules, shares and limits: includes, and what holds for all rules. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/policy/parse.h"

#define INCLUDES_MAX 4

int parse_on_deny(struct parser *parser)
{
	static const char *const words[] = {"continue", "stop", "audit=required", "audit=warn"};
	unsigned i;
	int ret = 0;

	if (parser->words < 2)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write on-deny continue [audit=required]");
	for (i = 1; i < parser->words && ret == 0; i++) {
		const struct word *word = &parser->word[i];

		switch (word_index(words, ARRAY_SIZE(words), word->text)) {
		case 0:
			break;
		case 1:
			ret = parse_not_enforced(parser, word, "on-deny stop");
			break;
		case 2:
			parser->policy->audit_required = true;
			break;
		case 3:
			break;
		default:
			ret = parse_unknown_word(parser, word, "on-deny option", words,
						 ARRAY_SIZE(words));
		}
	}
	return ret;
}

int parse_audit(struct parser *parser)
{
	static const char *const words[] = {"processes"};
	unsigned i;

	if (parser->words < 2)
		return parse_fail(parser, EINVAL, parser->word[0].column, "write audit processes");
	for (i = 1; i < parser->words; i++)
		if (word_index(words, ARRAY_SIZE(words), parser->word[i].text) < 0)
			return parse_unknown_word(parser, &parser->word[i], "audit option", words,
						  ARRAY_SIZE(words));
	parser->policy->audit_processes = (struct policy_place){parser->file, parser->line};
	return 0;
}

static int on_ask_time(struct parser *parser, const struct word *word, uint64_t *time)
{
	const char *equals = strchr(word->text, '=');
	unsigned column = word->column + (unsigned)(equals + 1 - word->text);
	struct err why;

	if (quantity_duration(equals + 1, time, &why) < 0)
		return parse_fail(parser, EINVAL, column, "%s", why.text);
	return 0;
}

static int on_ask_words(struct parser *parser, struct policy_on_ask *on_ask)
{
	static const char *const words[] = {"freeze", "wait=TIME", "deny"};
	const struct word *word = &parser->word[1], *more = &parser->word[2];
	int ret;

	if (strcmp(word->text, "freeze") == 0) {
		on_ask->way = POLICY_ON_ASK_FREEZE;
		if (parser->words == 3 && strncmp(more->text, "spill=", 6) == 0)
			return on_ask_time(parser, more, &on_ask->spill_ns);
		return parser->words == 2 ? 0
					  : parse_fail(parser, EINVAL, more->column,
						       "write on-ask freeze [spill=TIME]");
	}
	if (parser->words > 2)
		return parse_fail(parser, EINVAL, more->column,
				  "only on-ask freeze takes another word");
	if (strcmp(word->text, "deny") == 0) {
		on_ask->way = POLICY_ON_ASK_DENY;
		return 0;
	}
	if (strncmp(word->text, "wait=", 5) != 0)
		return parse_unknown_word(parser, word, "on-ask option", words, ARRAY_SIZE(words));
	ret = on_ask_time(parser, word, &on_ask->wait_ns);
	if (ret == 0 && on_ask->wait_ns > POLICY_ON_ASK_WAIT_MAX_NS)
		ret = parse_fail(parser, EINVAL, word->column + 5,
				 "at most 24h: on-ask freeze waits as long as it takes");
	return ret;
}

/* Which of two is stricter: deny, then the shorter wait, then freeze. */
static bool is_stricter(const struct policy_on_ask *a, const struct policy_on_ask *b)
{
	static const int rank[] = {
		[POLICY_ON_ASK_FREEZE] = 0, [POLICY_ON_ASK_WAIT] = 1, [POLICY_ON_ASK_DENY] = 2};

	if (a->way != b->way)
		return rank[a->way] > rank[b->way];
	return a->way == POLICY_ON_ASK_WAIT && a->wait_ns < b->wait_ns;
}

/* The strictest of several files counts. */
int parse_on_ask(struct parser *parser)
{
	struct policy_on_ask on_ask = {.way = POLICY_ON_ASK_WAIT, .given = true};
	int ret;

	if (parser->words < 2)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write on-ask freeze [spill=TIME], wait=TIME or deny");
	if (parser->on_ask_part == parser->part)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "on-ask is given already (line %u)", parser->on_ask_line);
	ret = on_ask_words(parser, &on_ask);
	if (ret < 0)
		return ret;
	if (parser->on_ask_part == 0 || is_stricter(&on_ask, &parser->policy->on_ask))
		parser->policy->on_ask = on_ask;
	parser->on_ask_part = parser->part;
	parser->on_ask_line = parser->line;
	return 0;
}

int parse_secret(struct parser *parser)
{
	if (parser->words < 3)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write secret NAME SOURCE ...");
	return 0;
}

int parse_include(struct parser *parser)
{
	const char *names[16], *text, *file = parser->file;
	unsigned line = parser->line;
	bool versioned = parser->versioned;
	char inside[80];
	size_t count = 0;
	int ret;

	if (parser->words != 2)
		return parse_fail(parser, EINVAL, parser->word[0].column, "write include PRESET");
	text = policy_preset_text(parser->word[1].text);
	while (count < ARRAY_SIZE(names) && policy_preset_name(count)) {
		names[count] = policy_preset_name(count);
		count++;
	}
	if (!text)
		return parse_unknown_word(parser, &parser->word[1], "preset", names, count);
	if (parser->depth == INCLUDES_MAX)
		return parse_fail(parser, EINVAL, parser->word[1].column,
				  "includes nested more than %d deep", INCLUDES_MAX);
	snprintf(inside, sizeof(inside), "preset %s", parser->word[1].text);
	parser->file = arena_copy(&parser->policy->arena, inside, strlen(inside));
	if (!parser->file)
		return parse_no_memory(parser);
	parser->depth++;
	parser->versioned = false;
	ret = parse_text(parser, text, strlen(text));
	parser->versioned = versioned;
	parser->depth--;
	parser->file = file;
	parser->line = line;
	return ret;
}

int parse_policy(struct parser *parser)
{
	if (parser->versioned)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "'policy' must be given only once");
	if (parser->words != 2 || strcmp(parser->word[1].text, "1") != 0)
		return parse_fail(parser, EINVAL, parser->word[parser->words > 1].column,
				  "write policy 1: the only version of the language");
	parser->versioned = true;
	return 0;
}
