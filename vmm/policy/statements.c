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

static const char *const file_words[] = {"hide", "deny", "read", "append", "write", NULL, "ask"};
static const char *const other_words[] = {NULL, "deny", NULL, NULL, NULL, "allow", "ask"};

/* `file VERDICT ...`, `net VERDICT ...`, `exec VERDICT ...`: checks the verdict, adds the rule. */
static int begin_rule(struct parser *parser, enum policy_class class, unsigned words,
		      const char *usage, struct rule **rule)
{
	const char *const *verdicts = class == POLICY_FILE ? file_words : other_words;
	char what[64];
	int action = -1, ret = too_many(parser);

	if (ret < 0)
		return ret;
	if (parser->words >= 2) {
		action = word_index(verdicts, ARRAY_SIZE(file_words), parser->word[1].text);
		if (action < 0)
			return parse_unknown_word(parser, &parser->word[1], "verdict", verdicts,
						  ARRAY_SIZE(file_words));
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
	if (!enforced_action(class, (enum policy_action)action)) {
		snprintf(what, sizeof(what), "the verdict '%s'", parser->word[1].text);
		return parse_not_enforced(parser, &parser->word[1], what);
	}
	return 0;
}

static int state_file(struct parser *parser)
{
	struct rule *rule;
	int ret = begin_rule(parser, POLICY_FILE, 3, "file VERDICT /PATTERN ...", &rule);

	return ret < 0 ? ret : compile_patterns(parser, rule);
}

static int state_exec(struct parser *parser)
{
	struct rule *rule;
	int ret = begin_rule(parser, POLICY_EXEC, 3, "exec VERDICT /PATTERN ...", &rule);

	return ret < 0 ? ret : compile_patterns(parser, rule);
}

static int state_process(struct parser *parser)
{
	struct rule *rule;
	int ret = begin_rule(parser, POLICY_PROCESS, 3, "process VERDICT GROUP ...", &rule);

	return ret < 0 ? ret : parse_groups(parser, rule);
}

static int state_net(struct parser *parser)
{
	static const char *const words[] = {"tcp", "udp", "tls", "http", "icmp", "dns"};
	struct err why = {.text = ""};
	struct rule *rule;
	unsigned i;
	int protocol, ret;

	ret = begin_rule(parser, POLICY_NET, 4, "net VERDICT PROTOCOL TARGET ...", &rule);
	if (ret < 0)
		return ret;
	protocol = word_index(words, ARRAY_SIZE(words), parser->word[2].text);
	if (protocol < 0)
		return parse_unknown_word(parser, &parser->word[2], "protocol", words,
					  ARRAY_SIZE(words));
	rule->protocol = (enum policy_protocol)protocol;
	if (rule->protocol == POLICY_DNS && rule->public.action == POLICY_ACTION_ASK)
		return parse_fail(parser, EINVAL, parser->word[1].column,
				  "a DNS query cannot wait for an operator: 'allow' or 'deny' the "
				  "name here, and 'ask' in a rule about connections to it");
	rule->granted = parser->adding && rule->public.action == POLICY_ACTION_ALLOW;
	rule->targets = parser->words - 3;
	rule->target = arena_array(&parser->policy->arena, rule->targets, sizeof(*rule->target));
	if (!rule->target)
		return parse_no_memory(parser);
	for (i = 0; i < rule->targets && ret == 0; i++) {
		const struct word *word = &parser->word[i + 3];

		ret = net_target_parse(&parser->policy->arena, rule->protocol, word->text,
				       &rule->target[i], &why);
		if (ret == -EINVAL)
			ret = parse_fail(parser, EINVAL, word->column, "%s", why.text);
		else if (ret < 0)
			ret = parse_no_memory(parser);
	}
	return ret;
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

/* --- approved in advance ---------------------------------------------------------------------- */

int parse_settle_added(struct parser *parser)
{
	struct rule_list *list = &parser->policy->class[POLICY_NET];
	struct rule **sorted =
		arena_array(&parser->policy->arena, list->count + 1, sizeof(struct rule *));
	size_t i, count = 0;
	int pass;

	if (!sorted)
		return parse_no_memory(parser);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < list->count; i++) {
			if (list->rule[i]->granted != pass)
				continue;
			list->granted += (size_t)pass;
			sorted[count] = list->rule[i];
			sorted[count]->public.number = (unsigned)count;
			count++;
		}
	list->rule = sorted;
	list->capacity = count;
	return 0;
}

int parse_net_option(struct parser *parser, const char *text, unsigned number)
{
	struct rule_list *list = &parser->policy->class[POLICY_NET];
	size_t length = strlen(text), letters = strspn(text, "abcdefghijklmnopqrstuvwxyz"), i;
	bool named = letters > 0 && text[letters] == '/';
	const char *target = named ? text + letters + 1 : text, *protocol;
	int ret;

	parser->file = "--allow-net";
	parser->line = number;
	for (i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return parse_fail(parser, EINVAL, (unsigned)i + 1,
					  "give [PROTOCOL/]NAME:PORT, in printable ASCII");
	if (length > POLICY_PATTERN_MAX)
		return parse_fail(parser, EINVAL, 1, "a target of more than %d bytes",
				  POLICY_PATTERN_MAX);
	if (named)
		protocol = arena_copy(&parser->policy->arena, text, letters);
	else
		protocol = length > 4 && strcmp(text + length - 4, ":443") == 0 ? "tls" : "tcp";
	if (!protocol)
		return parse_no_memory(parser);
	parser->word[0] = (struct word){.text = "net", .column = 1};
	parser->word[1] = (struct word){.text = "allow", .column = 1};
	parser->word[2] = (struct word){.text = protocol, .column = 1};
	parser->word[3] = (struct word){.text = target, .column = (unsigned)(target - text) + 1};
	parser->words = 4;
	ret = state_net(parser);
	if (ret < 0)
		return ret;
	list->rule[list->count - 1]->granted = true;
	list->granted++;
	return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct statement {
	const char *word;
	int (*state)(struct parser *parser);
} statements[] = {
	{"policy", parse_policy},   {"limit", parse_limit},	{"share", parse_share},
	{"file", state_file},	    {"net", state_net},		{"exec", state_exec},
	{"process", state_process}, {"secret", parse_secret},	{"on-deny", parse_on_deny},
	{"on-ask", parse_on_ask},   {"include", parse_include}, {"audit", parse_audit},
};

/* What may be added to a running sandbox. */
static bool is_rule(const struct statement *statement)
{
	return statement->state == state_file || statement->state == state_net ||
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
