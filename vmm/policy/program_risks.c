/* SPDX-License-Identifier: Apache-2.0 */
/* Exec rules that do something else than they seem to. */
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/internal.h"
#include "vmm/policy/risks.h"

/* Loaders and C libraries of common distributions, by the paths that rules see. */
static const struct {
	const char *loader, *library;
} libraries[] = {
	{"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libc.so.6"},
	{"/usr/lib64/ld-linux-x86-64.so.2", "/usr/lib64/libc.so.6"},
	{"/usr/lib/ld-linux-x86-64.so.2", "/usr/lib/libc.so.6"},
};

/* Directories of the root that most distributions have as links into /usr. */
static const char *const merged[] = {"/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/"};

static bool may_run(const struct policy *policy, const char *path)
{
	const struct policy_request request = {
		.class = POLICY_EXEC, .op = POLICY_RUN, .object = path, .length = strlen(path)};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict != POLICY_DENY;
}

static void report_libraries(const struct policy *policy, const struct policy_risk_ops *ops)
{
	bool loader = false;
	char text[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(libraries); i++) {
		if (!may_run(policy, libraries[i].loader))
			continue;
		if (may_run(policy, libraries[i].library))
			return;
		loader = true;
	}
	snprintf(text, sizeof(text),
		 "the exec rules allow no %s in /usr/lib or /usr/lib64, which /lib and /lib64 are "
		 "links to in most root file systems: there only static programs run; 'exec allow "
		 "/usr/lib*/** /lib*/**' allows loaders and libraries",
		 loader ? "C library" : "loader");
	ops->report(ops->arg, text);
}

/* A path that the pattern matches, with x for a wildcard. False: none is known. */
static bool example_of(const char *pattern, char *to, size_t size)
{
	size_t used = 0;

	for (; *pattern; pattern++) {
		if (strchr("[\\", *pattern) || used + 1 >= size)
			return false;
		if (*pattern == '*' && used > 0 && to[used - 1] == 'x')
			continue;
		to[used++] = *pattern == '*' || *pattern == '?' ? 'x' : *pattern;
	}
	to[used] = '\0';
	return true;
}

static void report_link(const struct policy *policy, const struct rule *rule, const char *pattern,
			const struct policy_risk_ops *ops)
{
	char path[POLICY_PATTERN_MAX + sizeof("/usr")] = "/usr", text[1024];
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(merged); i++) {
		length = strlen(merged[i]);
		if (strncmp(pattern, merged[i], length) != 0 ||
		    !example_of(pattern, path + 4, sizeof(path) - 4) || !may_run(policy, path))
			continue;
		snprintf(text, sizeof(text),
			 "%.200s:%u: %.200s: where %.*s is a link to /usr%.*s, this rule matches "
			 "nothing, and %.200s may run: a rule is about the file's own path",
			 rule->public.file, rule->public.line, pattern, (int)length - 1, merged[i],
			 (int)length - 1, merged[i], path);
		ops->report(ops->arg, text);
	}
}

/* Directories whose names alone an allow rule hardly means. */
static const char *const directories[] = {
	"/usr",	    "/bin",	  "/sbin",	"/lib",		  "/lib64", "/usr/bin", "/usr/sbin",
	"/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin", "/opt",   "/tmp",	"/home",
};

static bool is_directory(const struct policy *policy, const char *path)
{
	const struct policy_source *source = &policy->source;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(directories); i++)
		if (strcmp(path, directories[i]) == 0)
			return true;
	for (i = 0; i < policy->shares; i++)
		if (strcmp(path, policy->share[i].guest) == 0)
			return true;
	return (source->cwd && strcmp(path, source->cwd) == 0) ||
	       (source->home && strcmp(path, source->home) == 0);
}

/* Patterns that look like a shell's, or like a list. */
static const char *odd_pattern(const struct policy *policy, const struct rule *rule,
			       const char *pattern)
{
	const char *brace = strchr(pattern, '{'), *comma = brace ? strchr(brace, ',') : NULL;

	if (comma && strchr(comma, '}'))
		return "'{', ',' and '}' are ordinary characters here: write one pattern for each "
		       "path";
	if (pattern[0] && pattern[strlen(pattern) - 1] == ',')
		return "the ',' is a part of the path: blanks alone separate patterns";
	if (rule->public.action != POLICY_ACTION_DENY && is_directory(policy, pattern))
		return "a directory alone allows nothing in it: '/**' after it does";
	return NULL;
}

static void report_odd_patterns(const struct policy *policy, const struct policy_risk_ops *ops)
{
	const struct rule_list *list = &policy->class[POLICY_EXEC];
	const char *why;
	char text[1024];
	size_t i;
	unsigned k;

	for (i = 0; i < list->count; i++)
		for (k = 0; k < list->rule[i]->patterns; k++) {
			why = odd_pattern(policy, list->rule[i], list->rule[i]->pattern[k].text);
			if (!why)
				continue;
			snprintf(text, sizeof(text), "%.200s:%u: %.200s: %s",
				 list->rule[i]->public.file, list->rule[i]->public.line,
				 list->rule[i]->pattern[k].text, why);
			ops->report(ops->arg, text);
		}
}

void policy_linked_programs(const struct policy *policy, const struct policy_risk_ops *ops)
{
	const struct rule_list *list = &policy->class[POLICY_EXEC];
	size_t i;
	unsigned k;

	for (i = 0; i < list->count; i++)
		for (k = 0; list->rule[i]->public.action != POLICY_ACTION_ALLOW &&
			    k < list->rule[i]->patterns;
		     k++)
			report_link(policy, list->rule[i], list->rule[i]->pattern[k].text, ops);
}

void policy_program_risks(const struct policy *policy, const struct policy_risk_ops *ops)
{
	const struct rule_list *list = &policy->class[POLICY_EXEC];
	size_t i = 0;

	while (i < list->count && list->rule[i]->public.action == POLICY_ACTION_DENY)
		i++;
	if (list->count > 0 && i == list->count)
		ops->report(ops->arg, "the exec rules allow no program: what no rule allows is "
				      "denied; 'exec allow /**' at the end allows all others");
	else if (list->count > 0)
		report_libraries(policy, ops);
	report_odd_patterns(policy, ops);
	policy_linked_programs(policy, ops);
}
