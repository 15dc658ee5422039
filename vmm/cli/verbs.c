/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/cli/foreign.h"
#include "vmm/cli/help.h"
#include "vmm/cli/verb.h"

#define SUBVERBS_MAX 16

const char *const verb_group_titles[VERB_GROUPS] = {
	"Run and manage sandboxes",
	"Policy and audit",
	"Images and snapshots",
	"This host",
};

const struct verb *const verbs[] = {
	&verb_run,	&verb_start,   &verb_attach,   &verb_exec,    &verb_cp,	       &verb_ps,
	&verb_top,	&verb_stats,   &verb_logs,     &verb_publish, &verb_unpublish, &verb_ports,
	&verb_share,	&verb_unshare, &verb_limit,    &verb_pause,   &verb_resume,    &verb_stop,
	&verb_kill,	&verb_wait,    &verb_rm,       &verb_prune,   &verb_policy,    &verb_audit,
	&verb_why,	&verb_ask,     &verb_snapshot, &verb_restore, &verb_fork,      &verb_image,
	&verb_template, &verb_doctor,  &verb_bench,    &verb_help,    &verb_version,   NULL,
};

const struct verb *verb_find(const char *name)
{
	size_t i;

	for (i = 0; verbs[i]; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

int verb_unknown(const char *name, struct err *err)
{
	const char *names[ARRAY_SIZE(verbs)], *near;
	size_t count = 0;

	for (; verbs[count]; count++)
		names[count] = verbs[count]->name;
	if (foreign_verb(name))
		return err_set(err, EINVAL, "there is no command '%s': %s", name,
			       foreign_verb(name));
	near = nearest_word(name, names, count);
	if (near)
		return err_set(err, EINVAL, "unknown command '%s': did you mean '%s'?", name, near);
	return err_set(err, EINVAL, "unknown command '%s': see 'cordon help'", name);
}

int verb_usage_error(const struct verb *verb, const char *subverb, const char *what,
		     struct err *err)
{
	const struct subverb *sub = verb->subverbs;
	const char *usage = verb->usage;
	char name[64], first[128];
	size_t length;

	snprintf(name, sizeof(name), "%s%s%s", verb->name, subverb ? " " : "",
		 subverb ? subverb : "");
	while (subverb && strcmp(sub->name, subverb) != 0)
		sub++;
	if (subverb)
		usage = sub->usage;
	length = strcspn(usage, "\n");
	snprintf(first, sizeof(first), "%.*s%s", (int)length, usage, usage[length] ? " ..." : "");
	return err_set(err, EINVAL, "%s: %s%s cordon %s%s%s", name, what,
		       what[strlen(what) - 1] == '?' ? "" : ":", name, first[0] ? " " : "", first);
}

int verb_words(const struct verb_words *words, const struct option_set *sets, size_t sets_count,
	       int argc, char **argv, struct err *err)
{
	int count = options_parse_words(sets, sets_count, argc, argv, err);
	char surplus[96];

	if (count < 0)
		return count;
	if (count < words->least)
		return verb_usage_error(words->verb, words->subverb, words->missing, err);
	if (count <= words->most)
		return count;
	snprintf(surplus, sizeof(surplus), "unexpected argument '%.60s'", argv[words->most + 1]);
	return verb_usage_error(words->verb, words->subverb, surplus, err);
}

static bool asks_help(const char *argument)
{
	return strcmp(argument, "-h") == 0 || strcmp(argument, "--help") == 0;
}

static int run_subverb(const struct verb *verb, int argc, char **argv, struct err *err)
{
	const char *names[SUBVERBS_MAX], *near;
	const struct subverb *subverb;
	char name[64];
	size_t count = 0;

	for (subverb = verb->subverbs; subverb->name; subverb++) {
		names[count++] = subverb->name;
		if (argc < 2 || strcmp(argv[1], subverb->name) != 0)
			continue;
		snprintf(name, sizeof(name), "%s %s", verb->name, subverb->name);
		argv[1] = name; /* for messages */
		return subverb->run(argc - 1, argv + 1, err);
	}
	if (argc > 1 && asks_help(argv[1]))
		return OPTIONS_HELP;
	if (argc < 2)
		return err_set(err, EINVAL, "%s: which command? see 'cordon help %s'", verb->name,
			       verb->name);
	if (foreign_subverb(verb->name, argv[1]))
		return err_set(err, EINVAL, "there is no command '%s %s': %s", verb->name, argv[1],
			       foreign_subverb(verb->name, argv[1]));
	near = nearest_word(argv[1], names, count);
	if (near)
		return err_set(err, EINVAL, "%s: unknown command '%s': did you mean '%s'?",
			       verb->name, argv[1], near);
	return err_set(err, EINVAL, "%s: unknown command '%s': see 'cordon help %s'", verb->name,
		       argv[1], verb->name);
}

int verb_main(const struct verb *verb, int argc, char **argv)
{
	struct err err = {.text = ""};
	int ret = verb->run ? verb->run(argc, argv, &err) : run_subverb(verb, argc, argv, &err);

	if (ret == OPTIONS_HELP) {
		help_print_verb(stdout, verb);
		return 0;
	}
	if (ret >= 0)
		return ret;
	log_error("%s", err.text);
	return EXIT_CORDON;
}

/* Puts the words that argv[0] stands for in its place; NULL: out of memory. Kept until the end. */
static char **expand(const char *const *words, int *argc, char **argv)
{
	size_t count = 0, i;
	char **made;

	while (words[count])
		count++;
	made = calloc(count + (size_t)*argc, sizeof(*made));
	for (i = 0; made && i < count; i++)
		made[i] = (char *)(uintptr_t)words[i];
	for (i = 1; made && i < (size_t)*argc; i++)
		made[count + i - 1] = argv[i];
	*argc += (int)count - 1;
	return made;
}

int verbs_main(int argc, char **argv)
{
	static const char *const help[] = {"help", NULL}, *const version[] = {"version", NULL};
	const char *const *words = foreign_alias(argv[0]);
	const struct verb *verb;
	struct err err = {.text = ""};

	if (asks_help(argv[0]))
		words = help;
	else if (strcmp(argv[0], "--version") == 0)
		words = version;
	if (words)
		argv = expand(words, &argc, argv);
	verb = argv ? verb_find(argv[0]) : NULL;
	if (verb)
		return verb_main(verb, argc, argv);
	if (argv)
		verb_unknown(argv[0], &err);
	log_error("%s", argv ? err.text : "out of memory");
	return EXIT_CORDON;
}
