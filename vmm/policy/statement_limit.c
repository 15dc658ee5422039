/* SPDX-License-Identifier: Apache-2.0 */
/* The statement `limit`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/policy/parse.h"

static const char *const names[POLICY_LIMITS] = {
	[POLICY_LIMIT_CPUS] = "cpus",
	[POLICY_LIMIT_MEMORY] = "memory",
	[POLICY_LIMIT_PROCESSES] = "processes",
	[POLICY_LIMIT_DISK] = "disk",
	[POLICY_LIMIT_WALL] = "wall",
	[POLICY_LIMIT_IDLE] = "idle",
	[POLICY_LIMIT_OPEN_FILES] = "open-files",
	[POLICY_LIMIT_OUTPUT] = "output",
	[POLICY_LIMIT_SHARE_DISK] = "share-disk",
	[POLICY_LIMIT_SHARE_FILES] = "share-files",
};

const char *policy_limit_name(enum policy_limit limit)
{
	return names[limit];
}

static uint64_t *limit_field(struct policy_limits *limits, enum policy_limit limit)
{
	uint64_t *const field[POLICY_LIMITS] = {
		[POLICY_LIMIT_CPUS] = &limits->cpu_millis,
		[POLICY_LIMIT_MEMORY] = &limits->memory,
		[POLICY_LIMIT_PROCESSES] = &limits->processes,
		[POLICY_LIMIT_DISK] = &limits->disk,
		[POLICY_LIMIT_WALL] = &limits->wall_ns,
		[POLICY_LIMIT_IDLE] = &limits->idle_ns,
		[POLICY_LIMIT_OPEN_FILES] = &limits->open_files,
		[POLICY_LIMIT_OUTPUT] = &limits->output,
		[POLICY_LIMIT_SHARE_DISK] = &limits->share_disk,
		[POLICY_LIMIT_SHARE_FILES] = &limits->share_files,
	};

	return field[limit];
}

uint64_t policy_limit_value(const struct policy_limits *limits, enum policy_limit limit)
{
	struct policy_limits copy = *limits;

	return *limit_field(&copy, limit);
}

uint64_t policy_limit_effective(const struct policy_limits *limits, enum policy_limit limit)
{
	uint64_t value = policy_limit_value(limits, limit);

	if (value)
		return value;
	return limit == POLICY_LIMIT_SHARE_DISK	   ? POLICY_SHARE_DISK_USUAL
	       : limit == POLICY_LIMIT_SHARE_FILES ? POLICY_SHARE_FILES_USUAL
						   : 0;
}

int policy_parse_idle(const char *text, uint64_t *ns, bool *pauses, struct err *err)
{
	const char *colon = strchr(text, ':');
	char time[32];

	*pauses = colon && strcmp(colon, ":pause") == 0;
	if (colon && !*pauses)
		return err_set(err, EINVAL, "'%s': only :pause may follow a time", text);
	if (!colon)
		return quantity_duration(text, ns, err);
	if (colon == text)
		return err_set(err, EINVAL, "'%s' is not a time such as 5m:pause", text);
	if (snprintf(time, sizeof(time), "%.*s", (int)(colon - text), text) >= (int)sizeof(time))
		return err_set(err, EINVAL, "'%s' is not a time such as 5m:pause", text);
	return quantity_duration(time, ns, err);
}

/* A size without a unit is in bytes, which is seldom meant: too few for one file. */
static int share_disk_value(const char *text, uint64_t *value, struct err *why)
{
	int ret = quantity_size(text, value, why);

	if (ret == 0 && *value > 0 && *value < POLICY_SHARE_DISK_MIN)
		return err_set(why, EINVAL, "'%s': at least 4K; with a unit, as in 10G", text);
	return ret;
}

static int limit_value(enum policy_limit limit, const char *text, uint64_t *value, bool *pauses,
		       struct err *why)
{
	switch (limit) {
	case POLICY_LIMIT_CPUS:
		return quantity_millis(text, POLICY_CPU_MILLIS_MIN, 1024 * 1000, value, why);
	case POLICY_LIMIT_PROCESSES:
		return quantity_number(text, 1, 1u << 22, value, why);
	case POLICY_LIMIT_SHARE_FILES:
		return quantity_number(text, 1, UINT32_MAX, value, why);
	case POLICY_LIMIT_SHARE_DISK:
		return share_disk_value(text, value, why);
	case POLICY_LIMIT_OPEN_FILES:
		return quantity_number(text, POLICY_OPEN_FILES_MIN, POLICY_OPEN_FILES_MAX, value,
				       why);
	case POLICY_LIMIT_IDLE:
		return policy_parse_idle(text, value, pauses, why);
	case POLICY_LIMIT_WALL:
		return quantity_duration(text, value, why);
	default:
		return quantity_size(text, value, why);
	}
}

/*
 * The lowest limit of several files counts. If one file stops an idle sandbox and another pauses
 * it, it stops.
 */
static void take_limit(struct parser *parser, enum policy_limit limit, uint64_t value, bool pauses)
{
	struct policy_limits *limits = &parser->policy->limits;
	uint64_t *field = limit_field(limits, limit);
	bool first = !parser->limit_part[limit];

	if (limit == POLICY_LIMIT_IDLE)
		limits->idle_pauses = pauses && (first || limits->idle_pauses);
	parser->limit_part[limit] = parser->part;
	if (!first && *field <= value)
		return;
	*field = value;
	limits->line[limit] = parser->line;
	limits->file[limit] = parser->file;
}

static int one_limit(struct parser *parser, const struct word *word)
{
	struct policy_limits *limits = &parser->policy->limits;
	const char *equals = strchr(word->text, '=');
	size_t length = equals ? (size_t)(equals - word->text) : strlen(word->text);
	struct word name = {.column = word->column};
	bool pauses = false;
	uint64_t value = 0;
	struct err why;
	char what[64];
	int index;

	name.text = arena_copy(&parser->policy->arena, word->text, length);
	if (!name.text)
		return parse_no_memory(parser);
	index = word_index(names, ARRAY_SIZE(names), name.text);
	if (index < 0)
		return parse_unknown_word(parser, &name, "limit", names, ARRAY_SIZE(names));
	if (!equals)
		return parse_fail(parser, EINVAL, word->column, "write %s=VALUE", name.text);
	if (parser->limit_part[index] == parser->part)
		return parse_fail(parser, EINVAL, word->column, "%s is limited already (%.80s:%u)",
				  name.text, limits->file[index], limits->line[index]);
	if (limit_value((enum policy_limit)index, equals + 1, &value, &pauses, &why) < 0)
		return parse_fail(parser, EINVAL, word->column + (unsigned)length + 1, "%s",
				  why.text);
	if (value == 0)
		return parse_fail(parser, EINVAL, word->column + (unsigned)length + 1,
				  "%s can't be 0", name.text);
	take_limit(parser, (enum policy_limit)index, value, pauses);
	snprintf(what, sizeof(what), "limit %s", name.text);
	return enforced_limit(name.text) ? 0 : parse_not_enforced(parser, word, what);
}

int parse_limit(struct parser *parser)
{
	unsigned i;
	int ret = 0;

	if (parser->words < 2)
		return parse_fail(parser, EINVAL, parser->word[0].column,
				  "write limit NAME=VALUE ...");
	for (i = 1; i < parser->words && ret == 0; i++)
		ret = one_limit(parser, &parser->word[i]);
	return ret;
}
