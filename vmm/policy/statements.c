/* SPDX-License-Identifier: Apache-2.0 */
/* The statements of a policy file: rules, and the table of all statements. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/parse.h"

#define HINT_MAX 200

int parse_no_memory(struct parser *parser)
{
	return err_set(parser->err, ENOMEM, "out of memory");
}

int parse_not_enforced(struct parser *parser, const struct word *word, const char *what)
{
	if (parser->source->lenient)
		return 0;
	return parse_fail(parser, ENOTSUP, word->column, "%s is not enforced by this version",
			  what);
}

int parse_unknown_word(struct parser *parser, const struct word *word, const char *what,
		       const char *const *words, size_t count)
{
	char hint[HINT_MAX];

	return parse_fail(parser, EINVAL, word->column, "unknown %s '%.60s': %s", what, word->text,
			  word_hint(hint, sizeof(hint), word->text, words, count));
}

/* --- paths ------------------------------------------------------------------------------------ */

/* Appends a directory's path; pattern: with its wildcard characters escaped. */
static char *put_directory(char *to, const char *directory, bool pattern)
{
	for (; *directory; directory++) {
		if (pattern && strchr("*?[]\\", *directory))
			*to++ = '\\';
		*to++ = *directory;
	}
	return to;
}

const char *parse_expand(struct parser *parser, const struct word *word, bool pattern)
{
	const struct policy_source *source = parser->source;
	const char *rest = word->text, *directory = NULL;
	char *made, *to;

	if (strncmp(rest, "$PWD", 4) == 0 && (rest[4] == '/' || !rest[4])) {
		directory = source->cwd;
		rest += 4;
	} else if (strncmp(rest, "$HOME", 5) == 0 && (rest[5] == '/' || !rest[5])) {
		directory = source->home;
		rest += 5;
	} else if (rest[0] != '$') {
		return rest;
	}
	if (!directory || directory[0] != '/') {
		parse_fail(parser, EINVAL, word->column,
			   "'%.60s': only $PWD and $HOME can stand at the beginning, and only "
			   "where they are known",
			   word->text);
		return NULL;
	}
	if (strcmp(directory, "/") == 0 && rest[0] == '/')
		directory = "";
	made = arena_alloc(&parser->policy->arena, 2 * strlen(directory) + strlen(rest) + 1);
	if (!made) {
		parse_no_memory(parser);
		return NULL;
	}
	to = put_directory(made, directory, pattern);
	strcpy(to, rest);
	return made;
}

char *parse_plain(struct parser *parser, const char *text)
{
	char *made = arena_copy(&parser->policy->arena, text, strlen(text)), *to = made;

	for (; made && *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		*to++ = *text;
	}
	if (made)
		*to = '\0';
	return made;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* The line's words separated by one space, for messages and the log. */
static const char *line_text(struct parser *parser)
{
	size_t length = 1;
	char *text, *to;
	unsigned i;

	for (i = 0; i < parser->words; i++)
		length += strlen(parser->word[i].text) + 1;
	text = to = arena_alloc(&parser->policy->arena, length);
	for (i = 0; text && i < parser->words; i++)
		to += sprintf(to, "%s%s", i ? " " : "", parser->word[i].text);
	return text;
}

static struct rule *add_rule(struct parser *parser, enum policy_class class,
			     enum policy_action action)
{
	struct policy *policy = parser->policy;
	struct rule_list *list = &policy->class[class];
	struct rule *rule = arena_alloc(&policy->arena, sizeof(*rule)), **more;

	if (rule && list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 32;
		more = arena_array(&policy->arena, list->capacity, sizeof(struct rule *));
		if (!more)
			rule = NULL;
		else if (list->count)
			memcpy(more, list->rule, list->count * sizeof(struct rule *));
		list->rule = more;
	}
	if (!rule) {
		parse_no_memory(parser);
		return NULL;
	}
	rule->public = (struct policy_rule){
		.class = class,
		.action = action,
		.enforced_by = class == POLICY_EXEC || class == POLICY_PROCESS ? POLICY_GUEST
									       : POLICY_HOST,
		.file = parser->file,
		.line = parser->line,
		.number = (unsigned)list->count,
	};
	rule->added = parser->adding;
	list->rule[list->count++] = rule;
	return rule;
}

static int too_many(struct parser *parser)
{
	const struct rule_list *list = parser->policy->class;

	if (list[0].count + list[1].count + list[2].count + list[3].count < POLICY_RULES_MAX)
		return 0;
	return parse_fail(parser, EINVAL, 0, "more than %d rules", POLICY_RULES_MAX);
}

static int relative_pattern(struct parser *parser, const struct word *word)
{
	bool home = word->text[0] == '~';

	if (strchr(word->text, '/'))
		return parse_fail(parser, EINVAL, word->column, "'%.80s': a path begins with '/'%s",
				  word->text, home ? " or $HOME" : ", $PWD or $HOME");
	return parse_fail(parser, EINVAL, word->column,
			  "'%.80s': a path begins with '/'; '/**/%.80s' matches that name in every "
			  "directory",
			  word->text, word->text);
}

/* `hide` and `deny` also hold for everything beneath what they match. */
static int compile_pattern(struct parser *parser, const struct word *word,
			   enum policy_action action, struct glob *glob)
{
	struct arena *arena = &parser->policy->arena;
	const char *text = parse_expand(parser, word, true);
	struct glob_part *part;
	struct err why = {.text = ""};
	size_t at;
	int ret;

	if (!text)
		return -EINVAL;
	if (text[0] != '/')
		return relative_pattern(parser, word);
	ret = glob_compile(arena, text, strlen(text), glob, &at, &why);
	if (ret == -EINVAL)
		return parse_fail(parser, EINVAL,
				  word->column + (text == word->text ? (unsigned)at : 0),
				  "'%.80s': %s", word->text, why.text);
	if (ret < 0)
		return parse_no_memory(parser);
	if (action > POLICY_ACTION_DENY ||
	    (glob->parts && glob->part[glob->parts - 1].kind == GLOB_TREE))
		return 0;
	part = arena_array(arena, glob->parts + 1, sizeof(*part));
	if (!part)
		return parse_no_memory(parser);
	if (glob->parts)
		memcpy(part, glob->part, glob->parts * sizeof(*part));
	part[glob->parts++].kind = GLOB_TREE;
	glob->part = part;
	return 0;
}

static int compile_patterns(struct parser *parser, struct rule *rule)
{
	unsigned i;
	int ret = 0;

	rule->patterns = parser->words - 2;
	rule->pattern = arena_array(&parser->policy->arena, rule->patterns, sizeof(*rule->pattern));
	if (!rule->pattern)
		return parse_no_memory(parser);
	for (i = 0; i < rule->patterns && ret == 0; i++)
		ret = compile_pattern(parser, &parser->word[i + 2], rule->public.action,
				      &rule->pattern[i]);
	return ret;
}

static const char *const file_words[POLICY_ACTIONS] = {
	"hide", "deny", "read", "append", "write", NULL, "ask", "ask-read", "ask-write"};
static const char *const other_words[POLICY_ACTIONS] = {NULL, "deny",  NULL, NULL,
							NULL, "allow", "ask"};

/* The message lists only verdicts that are enforced. */
static int unknown_verdict(struct parser *parser, enum policy_class class,
			   const char *const *verdicts)
{
	const char *known[POLICY_ACTIONS];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		known[i] = enforced_action(class, (enum policy_action)i) ? verdicts[i] : NULL;
	return parse_unknown_word(parser, &parser->word[1], "verdict", known, ARRAY_SIZE(known));
}

static int verdict_not_enforced(struct parser *parser, enum policy_class class)
{
	const struct word *word = &parser->word[1];
	char what[64];

	if (class == POLICY_FILE && !parser->source->lenient)
		return parse_fail(parser, ENOTSUP, word->column,
				  "the verdict '%s' is not enforced by this version: write "
				  "ask-read or ask-write",
				  word->text);
	snprintf(what, sizeof(what), "the verdict '%s'", word->text);
	return parse_not_enforced(parser, word, what);
}

int parse_begin_rule(struct parser *parser, enum policy_class class, unsigned words,
		     const char *usage, struct rule **rule)
{
	const char *const *verdicts = class == POLICY_FILE ? file_words : other_words;
	int action = -1, ret = too_many(parser);

	if (ret < 0)
		return ret;
	if (parser->words >= 2) {
		action = word_index(verdicts, ARRAY_SIZE(file_words), parser->word[1].text);
		if (action < 0)
			return unknown_verdict(parser, class, verdicts);
	}
	if (parser->words < words)
		return parse_fail(parser, EINVAL, parser->word[0].column, "write %s", usage);
	*rule = add_rule(parser, class, (enum policy_action)action);
	if (!*rule)
		return -ENOMEM;
	(*rule)->public.text = line_text(parser);
	(*rule)->column = parser->word[0].column;
	if (!(*rule)->public.text)
		return parse_no_memory(parser);
	return enforced_action(class, (enum policy_action)action)
		       ? 0
		       : verdict_not_enforced(parser, class);
}

static int state_file(struct parser *parser)
{
	struct rule *rule;
	int ret = parse_begin_rule(parser, POLICY_FILE, 3, "file VERDICT /PATTERN ...", &rule);

	return ret < 0 ? ret : compile_patterns(parser, rule);
}

static int state_exec(struct parser *parser)
{
	struct rule *rule;
	int ret = parse_begin_rule(parser, POLICY_EXEC, 3, "exec VERDICT /PATTERN ...", &rule);

	return ret < 0 ? ret : compile_patterns(parser, rule);
}

static int state_process(struct parser *parser)
{
	struct rule *rule;
	int ret = parse_begin_rule(parser, POLICY_PROCESS, 3, "process VERDICT GROUP ...", &rule);

	return ret < 0 ? ret : parse_groups(parser, rule);
}

int parse_implied_rule(struct parser *parser, enum policy_action action, const char *directory)
{
	char pattern[2 * POLICY_PATTERN_MAX + 4];
	struct rule *rule;
	int ret = too_many(parser);

	rule = ret == 0 ? add_rule(parser, POLICY_FILE, action) : NULL;
	if (!rule)
		return ret < 0 ? ret : -ENOMEM;
	strcpy(put_directory(pattern, directory, true), "/**");
	parser->word[0] = (struct word){.text = "file"};
	parser->word[1] = (struct word){.text = policy_action_name(action)};
	parser->word[2] = (struct word){.text = pattern};
	parser->words = 3;
	rule->public.text = line_text(parser);
	rule->implied = true;
	return rule->public.text ? compile_patterns(parser, rule) : parse_no_memory(parser);
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct statement {
	const char *word;
	int (*state)(struct parser *parser);
} statements[] = {
	{"policy", parse_policy},   {"limit", parse_limit},	{"share", parse_share},
	{"file", state_file},	    {"net", parse_net},		{"exec", state_exec},
	{"process", state_process}, {"secret", parse_secret},	{"on-deny", parse_on_deny},
	{"on-ask", parse_on_ask},   {"include", parse_include}, {"audit", parse_audit},
};

/* What may be added to a running sandbox. */
static bool is_rule(const struct statement *statement)
{
	return statement->state == state_file || statement->state == parse_net ||
	       statement->state == state_exec;
}

int parse_statement(struct parser *parser)
{
	const struct word *word = &parser->word[0];
	const char *words[ARRAY_SIZE(statements)];
	char what[64];
	size_t i;
	int index, ret;

	for (i = 0; i < ARRAY_SIZE(statements); i++)
		words[i] = statements[i].word;
	index = word_index(words, ARRAY_SIZE(words), word->text);
	if (index < 0)
		return parse_unknown_word(parser, word, "statement", words, ARRAY_SIZE(words));
	if (!parser->versioned && statements[index].state != parse_policy)
		return parse_fail(parser, EINVAL, word->column,
				  "a policy begins with the line 'policy 1'");
	if (parser->adding && !is_rule(&statements[index]) &&
	    statements[index].state != parse_policy)
		return parse_fail(parser, EINVAL, word->column,
				  "'%s' can't be added to a running sandbox: only rules can (file, "
				  "net, exec); 'cordon policy set' replaces the policy",
				  words[index]);
	ret = statements[index].state(parser);
	snprintf(what, sizeof(what), "'%s'", words[index]);
	return ret == 0 && !enforced_statement(words[index])
		       ? parse_not_enforced(parser, word, what)
		       : ret;
}
