/* SPDX-License-Identifier: Apache-2.0 */
/* The policy file: its text, lines and words. statements.c and settings.c parse the statements. */
#include "vmm/policy/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/base/utf8.h"
#include "vmm/policy/protected.h"

int parse_fail(struct parser *parser, int code, unsigned column, const char *fmt, ...)
{
	char text[sizeof(parser->err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (parser->line == 0) /* an option of the command line */
		return err_set(parser->err, code, "%.100s: %s", parser->file, text);
	if (column > 0)
		return err_set(parser->err, code, "%.100s:%u:%u: %s", parser->file, parser->line,
			       column, text);
	return err_set(parser->err, code, "%.100s:%u: %s", parser->file, parser->line, text);
}

/* --- text ------------------------------------------------------------------------------------- */

/* A line must read as it is parsed: UTF-8, without control and direction characters. */
static int check_line(struct parser *parser, const char *line, size_t length)
{
	const uint8_t *text = (const uint8_t *)line;
	size_t at, step;

	for (at = 0; at < length; at += step) {
		step = utf8_length(line + at, length - at);
		if (step == 0)
			return parse_fail(parser, EINVAL, (unsigned)at + 1, "not UTF-8 text");
		if (text_is_safe(line + at, step, TEXT_TABS))
			continue;
		if (text[at] < 0x80 || (text[at] == 0xc2 && text[at + 1] < 0xa0))
			return parse_fail(parser, EINVAL, (unsigned)at + 1,
					  "a control character (0x%02x)", text[at + step - 1]);
		return parse_fail(parser, EINVAL, (unsigned)at + 1,
				  "an invisible character, or one that changes the text direction");
	}
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Splits a line at blanks. A '\' makes the next character part of the word, also a blank or a '#';
 * it stays in the word, since it escapes that character in patterns too.
 */
static int split_line(struct parser *parser, const char *line, size_t length)
{
	size_t at = 0, begin;

	parser->words = 0;
	for (;;) {
		while (at < length && is_blank(line[at]))
			at++;
		if (at == length || line[at] == '#')
			return 0;
		for (begin = at; at < length && !is_blank(line[at]); at++)
			if (line[at] == '\\' && at + 1 < length)
				at++;
		if (parser->words == WORDS_MAX)
			return parse_fail(parser, EINVAL, (unsigned)begin + 1,
					  "more than %d words in a line: use several lines",
					  WORDS_MAX);
		if (at - begin > POLICY_PATTERN_MAX)
			return parse_fail(parser, EINVAL, (unsigned)begin + 1,
					  "a word of more than %d bytes", POLICY_PATTERN_MAX);
		parser->word[parser->words++] = (struct word){
			.text = arena_copy(&parser->policy->arena, line + begin, at - begin),
			.column = (unsigned)begin + 1,
		};
		if (!parser->word[parser->words - 1].text)
			return -ENOMEM;
	}
}

int parse_text(struct parser *parser, const char *text, size_t length)
{
	size_t at = 0, end, next;
	const char *newline;
	int ret = 0;

	parser->line = 0;
	parser->total += length;
	if (parser->total > POLICY_FILE_MAX)
		return err_set(parser->err, EFBIG, "%.100s: larger than %u KiB", parser->file,
			       POLICY_FILE_MAX >> 10);
	for (; at < length && ret == 0; at = next) {
		newline = memchr(text + at, '\n', length - at);
		end = newline ? (size_t)(newline - text) : length;
		next = end + (newline != NULL);
		if (end > at && text[end - 1] == '\r')
			end--;
		parser->line++;
		ret = check_line(parser, text + at, end - at);
		if (ret == 0)
			ret = split_line(parser, text + at, end - at);
		if (ret == 0 && parser->words > 0)
			ret = parse_statement(parser);
	}
	if (ret == 0 && !parser->versioned)
		ret = err_set(parser->err, EINVAL,
			      "%.100s: empty: a policy begins with the line 'policy 1'",
			      parser->file);
	return ret;
}

/* --- the whole policy ------------------------------------------------------------------------- */

bool policy_part_is_added(const struct policy_part *part)
{
	return !part->directory && strcmp(part->name, POLICY_ADDED) == 0;
}

/* Parses the files of the text, each of which begins with 'policy 1'. */
static int parse_parts(struct parser *parser, const char *text, size_t length)
{
	const struct policy_source *source = parser->source;
	const struct policy_part *part;
	size_t at = 0, i;
	int ret = 0;

	parser->part = 1;
	parser->directory = parser->policy->source.directory;
	if (source->parts == 0)
		return parse_text(parser, text, length);
	for (i = 0; i < source->parts && ret == 0; i++, at += part->length) {
		part = &parser->policy->source.part[i];
		if (part->length > length - at)
			return err_set(parser->err, EINVAL, "%.100s: the text is truncated",
				       part->name);
		parser->file = part->name;
		parser->directory = part->directory;
		parser->part = (unsigned)i + 1;
		parser->versioned = false;
		parser->adding = i == 0 && policy_part_is_added(part);
		ret = parse_text(parser, text + at, part->length);
	}
	parser->adding = false;
	return ret;
}

static int parse_all(struct parser *parser, const char *text, size_t length)
{
	const struct policy_source *source = parser->source;
	size_t i;
	int ret = parse_parts(parser, text, length);

	for (i = 0; ret == 0 && i < source->shares; i++)
		ret = parse_share_option(parser, &source->share[i]);
	if (ret == 0)
		ret = parse_settle_added(parser);
	for (i = 0; ret == 0 && i < source->allow_nets; i++)
		ret = parse_net_option(parser, source->allow_net[i], (unsigned)i + 1);
	if (ret == 0)
		ret = parse_compile(parser);
	if (ret == 0 && !source->copied)
		ret = policy_check_reachable(parser->policy, parser->err);
	return ret;
}

static const char *copy_text(struct arena *arena, const char *text)
{
	return text ? arena_copy(arena, text, strlen(text)) : NULL;
}

static bool copy_parts(struct policy *policy, const struct policy_source *source)
{
	struct arena *arena = &policy->arena;
	struct policy_part *part = arena_array(arena, source->parts + 1, sizeof(*part));
	const char **net = arena_array(arena, source->allow_nets + 1, sizeof(*net));
	bool missing = !part || !net;
	size_t i;

	for (i = 0; !missing && i < source->parts; i++) {
		part[i].name = copy_text(arena, source->part[i].name);
		part[i].directory = copy_text(arena, source->part[i].directory);
		part[i].length = source->part[i].length;
		missing = !part[i].name || (source->part[i].directory && !part[i].directory);
	}
	for (i = 0; !missing && i < source->allow_nets; i++) {
		net[i] = copy_text(arena, source->allow_net[i]);
		missing = !net[i];
	}
	policy->source.part = part;
	policy->source.allow_net = net;
	return !missing;
}

/* The policy keeps a copy of its source, so that it can be parsed again (for a fork). */
static int copy_source(struct policy *policy, const struct policy_source *source)
{
	struct arena *arena = &policy->arena;
	struct policy_share *share = arena_array(arena, source->shares + 1, sizeof(*share));
	bool missing = !share;
	size_t i;

	policy->source = *source;
	policy->source.name = copy_text(arena, source->name ? source->name : "policy");
	policy->source.directory = copy_text(arena, source->directory);
	policy->source.cwd = copy_text(arena, source->cwd);
	policy->source.home = copy_text(arena, source->home);
	policy->source.share = share;
	for (i = 0; share && i < source->shares; i++) {
		share[i] = source->share[i];
		share[i].host = copy_text(arena, source->share[i].host);
		share[i].guest = copy_text(arena, source->share[i].guest);
		share[i].file = NULL;
		missing |= !share[i].host || !share[i].guest;
	}
	missing |= !copy_parts(policy, source) || !policy->source.name ||
		   (source->directory && !policy->source.directory) ||
		   (source->cwd && !policy->source.cwd) || (source->home && !policy->source.home);
	policy->name = policy->source.name;
	return missing ? -ENOMEM : 0;
}

int policy_parse(struct policy **policy, const char *text, size_t length,
		 const struct policy_source *source, struct err *err)
{
	static const struct policy_source nothing;
	struct err dropped = {.text = ""};
	struct parser *parser = calloc(1, sizeof(*parser));
	struct policy *made = calloc(1, sizeof(*made));
	int ret = -ENOMEM;

	*policy = NULL;
	/* Decisions must not allocate: the list of protected places is compiled here. */
	protected_find("/", 1);
	if (parser && made) {
		parser->source = source ? source : &nothing;
		parser->policy = made;
		parser->err = err ? err : &dropped;
		parser->err->text[0] = '\0';
		made->on_ask.wait_ns = POLICY_ON_ASK_WAIT_NS;
		made->text = arena_copy(&made->arena, text, length);
		ret = made->text ? copy_source(made, parser->source) : -ENOMEM;
		parser->file = made->name;
		if (ret == 0)
			ret = parse_all(parser, text, length);
		if (ret == -ENOMEM && !parser->err->text[0])
			err_set(parser->err, ENOMEM, "out of memory");
	} else {
		err_set(err, ENOMEM, "out of memory");
	}
	if (ret == 0)
		*policy = made;
	else
		policy_free(made);
	free(parser);
	return ret;
}

int policy_preset(struct policy **policy, const char *name, const struct policy_source *source,
		  struct err *err)
{
	const char *text = policy_preset_text(name);
	struct policy_source named = source ? *source : (struct policy_source){.name = NULL};

	*policy = NULL;
	if (!text)
		return err_set(err, ENOENT, "there is no preset '%.40s'", name);
	named.name = name;
	return policy_parse(policy, text, strlen(text), &named, err);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	arena_free(&policy->arena);
	free(policy);
}

/* --- accessors -------------------------------------------------------------------------------- */

const struct policy_limits *policy_limits(const struct policy *policy)
{
	return &policy->limits;
}

size_t policy_share_count(const struct policy *policy)
{
	return policy->shares;
}

const struct policy_share *policy_share(const struct policy *policy, size_t index)
{
	return index < policy->shares ? &policy->share[index] : NULL;
}

size_t policy_rule_count(const struct policy *policy, enum policy_class class)
{
	return class < POLICY_CLASSES ? policy->class[class].count : 0;
}

const struct policy_rule *policy_rule(const struct policy *policy, enum policy_class class,
				      size_t index)
{
	return index < policy_rule_count(policy, class) ? &policy->class[class].rule[index]->public
							: NULL;
}

const struct policy_on_ask *policy_on_ask(const struct policy *policy)
{
	return &policy->on_ask;
}

const struct policy_place *policy_audit_processes(const struct policy *policy)
{
	return policy->audit_processes.line ? &policy->audit_processes : NULL;
}

bool policy_audit_required(const struct policy *policy)
{
	return policy->audit_required;
}

const char *policy_text(const struct policy *policy)
{
	return policy->text;
}

const char *policy_name(const struct policy *policy)
{
	return policy->name;
}

const struct policy_source *policy_source(const struct policy *policy)
{
	return &policy->source;
}
