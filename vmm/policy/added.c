/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/added.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/internal.h"

static const char version[] = "policy 1\n";

/* A policy's parts, with added lines as the first. */
struct parts {
	struct policy_source source;
	struct policy_part part[POLICY_PARTS_MAX + 1];
};

static bool has_added(const struct policy_source *source)
{
	return source->parts > 0 && policy_part_is_added(&source->part[0]);
}

/* The files of a policy, without what was added. */
static void take_files(struct parts *parts, const struct policy *policy)
{
	const struct policy_source *source = &policy->source;
	size_t added = has_added(source), count = source->parts - added, i;

	parts->source = *source;
	parts->source.part = parts->part;
	for (i = 0; i < count; i++)
		parts->part[i + 1] = source->part[i + added];
	if (source->parts == 0) {
		count = 1;
		parts->part[1] = (struct policy_part){.name = source->name,
						      .directory = source->directory,
						      .length = strlen(policy->text)};
	}
	parts->source.parts = count + 1;
}

/* Whether the only file is the policy's own, as it was before a line was added. */
static bool is_single(const struct parts *parts)
{
	const struct policy_part *part = &parts->part[1];

	return parts->source.parts == 2 && strcmp(part->name, parts->source.name) == 0 &&
	       part->directory && parts->source.directory &&
	       strcmp(part->directory, parts->source.directory) == 0;
}

/* Parses the files of a policy with the added lines, if there are any. */
static int make(struct policy **made, const struct policy *policy, const char *added, size_t length,
		struct err *err)
{
	size_t skip = has_added(&policy->source) ? policy->source.part[0].length : 0;
	size_t rest = strlen(policy->text) - skip;
	struct parts parts;
	char *text;
	int ret;

	*made = NULL;
	take_files(&parts, policy);
	/* The others were accepted before; the new one has to change something. */
	parts.source.copied = length == 0;
	parts.part[0] = (struct policy_part){.name = POLICY_ADDED, .length = length};
	if (length == 0) {
		parts.source.part++;
		parts.source.parts = is_single(&parts) ? 0 : parts.source.parts - 1;
	}
	if (parts.source.parts > POLICY_PARTS_MAX)
		return err_set(err, EINVAL,
			       "a policy of %d files has no room for added lines: use fewer files",
			       POLICY_PARTS_MAX);
	text = malloc(length + rest + 1);
	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	memcpy(text, added, length);
	memcpy(text + length, policy->text + skip, rest);
	ret = policy_parse(made, text, length + rest, &parts.source, err);
	free(text);
	return ret;
}

/* --- effect ----------------------------------------------------------------------------------- */

/* A directory above a path that a rule hides keeps the path hidden, whatever an added line says. */
static int check_hidden(const struct policy *policy, const struct rule *rule, struct err *err)
{
	struct policy_request request = {
		.class = POLICY_FILE, .op = POLICY_LOOKUP, .root = POLICY_ROOT_FIND};
	struct policy_decision decision;
	const struct glob_part *part;
	char path[POLICY_OBJECT_MAX];
	unsigned i, k;

	for (i = 0; i < rule->patterns; i++) {
		request.length = 0;
		for (k = 0; k < rule->pattern[i].parts; k++) {
			part = &rule->pattern[i].part[k];
			if (part->kind != GLOB_LITERAL ||
			    request.length + part->prefix_length + 1 > sizeof(path))
				break;
			path[request.length++] = '/';
			memcpy(path + request.length, part->prefix, part->prefix_length);
			request.length += part->prefix_length;
		}
		request.object = path;
		if (request.length == 0)
			continue;
		policy_decide(policy, &request, &decision);
		if (decision.verdict == POLICY_HIDE && decision.rule != &rule->public)
			return err_set(err, EPERM, "'%.80s' stays hidden by %.60s:%u: %.120s",
				       rule->pattern[i].text, decision.rule->file,
				       decision.rule->line, decision.rule->text);
	}
	return 0;
}

const struct policy_rule *policy_last_added(const struct policy *policy)
{
	const struct rule *last = NULL;
	unsigned class;
	size_t i;

	for (class = 0; class < POLICY_CLASSES; class ++)
		for (i = 0; i < policy->class[class].count; i++)
			if (policy->class[class].rule[i]->added &&
			    (!last ||
			     policy->class[class].rule[i]->public.line > last->public.line))
				last = policy->class[class].rule[i];
	return last ? &last->public : NULL;
}

static int check_effect(const struct policy *policy, unsigned line, struct err *err)
{
	const struct policy_rule *last = policy_last_added(policy);

	if (!last || last->line != line)
		return err_set(err, EINVAL, "a rule is needed, such as 'net allow tls NAME:443'");
	if (last->class == POLICY_FILE && last->action > POLICY_ACTION_DENY)
		return check_hidden(policy, (const struct rule *)last, err);
	return 0;
}

/* --- add and undo ----------------------------------------------------------------------------- */

static unsigned count_lines(const char *text, size_t length)
{
	unsigned lines = 0;

	while (length-- > 0)
		lines += text[length] == '\n';
	return lines;
}

int policy_add_line(struct policy **made, const struct policy *policy, const char *line,
		    struct err *err)
{
	const struct policy_source *source = &policy->source;
	size_t before = has_added(source) ? source->part[0].length : 0, used = 0;
	const char *begin = before ? policy->text : version;
	char *added;
	int ret;

	*made = NULL;
	if (strpbrk(line, "\r\n"))
		return err_set(err, EINVAL, "a rule is one line");
	before = before ? before : strlen(version);
	added = malloc(before + strlen(line) + 1);
	if (!added)
		return err_set(err, ENOMEM, "out of memory");
	memcpy(added, begin, before);
	used = before + strlen(line);
	memcpy(added + before, line, strlen(line));
	added[used++] = '\n';
	ret = make(made, policy, added, used, err);
	if (ret == 0)
		ret = check_effect(*made, count_lines(added, used), err);
	free(added);
	if (ret < 0) {
		policy_free(*made);
		*made = NULL;
	}
	return ret;
}

int policy_undo_line(struct policy **made, const struct policy *policy,
		     char line[POLICY_FILE_MAX + 1], struct err *err)
{
	const struct policy_source *source = &policy->source;
	size_t length, begin;

	*made = NULL;
	if (!has_added(source))
		return err_set(err, ENOENT, "no line has been added");
	length = source->part[0].length;
	for (begin = length - 1; begin > 0 && policy->text[begin - 1] != '\n'; begin--)
		;
	memcpy(line, policy->text + begin, length - begin);
	line[length - begin] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return make(made, policy, policy->text, begin > strlen(version) ? begin : 0, err);
}
