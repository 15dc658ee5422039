/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/cli/verb.h"

#define SUBVERBS_MAX 16

const char *const verb_group_titles[VERB_GROUPS] = {
	"Run and manage sandboxes",
	"Policy and audit",
	"Images and snapshots",
	"This host",
};

const struct verb *const verbs[] = {
	&verb_run,     &verb_start,   &verb_attach, &verb_exec,	    &verb_cp,	     &verb_ps,
	&verb_top,     &verb_stats,   &verb_logs,   &verb_publish,  &verb_unpublish, &verb_ports,
	&verb_pause,   &verb_resume,  &verb_stop,   &verb_kill,	    &verb_wait,	     &verb_rm,
	&verb_prune,   &verb_policy,  &verb_audit,  &verb_why,	    &verb_ask,	     &verb_snapshot,
	&verb_restore, &verb_fork,    &verb_image,  &verb_template, &verb_doctor,    &verb_bench,
	&verb_help,    &verb_version, NULL,
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
	if (argc < 2)
		return err_set(err, EINVAL, "%s: which command? see 'cordon help %s'", verb->name,
			       verb->name);
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

	if (ret >= 0)
		return ret;
	log_error("%s", err.text);
	return EXIT_CORDON;
}
