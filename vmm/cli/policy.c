/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy: look at policies, explain them, and give a sandbox another one. */
#include "vmm/cli/policy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/launch/policy_file.h"

static int presets(int argc, char **argv, struct err *err)
{
	const char *name, *text = argc == 2 ? policy_preset_text(argv[1]) : NULL;
	size_t i;

	if (text)
		fputs(text, stdout);
	else if (argc > 1)
		return err_set(err, ENOENT, "policy presets: there is no preset '%.60s'", argv[1]);
	for (i = 0; argc == 1 && (name = policy_preset_name(i)); i++)
		printf("%s\n", name);
	return 0;
}

/* Several files one after the other, each with its name; what --allow-net gave as a comment. */
static void print_text(const struct policy *policy)
{
	const struct policy_source *source = policy_source(policy);
	const char *text = policy_text(policy);
	size_t i;

	if (source->parts == 0)
		text_write(stdout, text, strlen(text), TEXT_LINES);
	for (i = 0; i < source->parts; text += source->part[i].length, i++) {
		text_line(stdout, "# --- %s", source->part[i].name);
		text_write(stdout, text, source->part[i].length, TEXT_LINES);
	}
	for (i = 0; i < source->allow_nets; i++)
		text_line(stdout, "# --allow-net %s", source->allow_net[i]);
}

static int show(int argc, char **argv, struct err *err)
{
	struct policy *policy;
	char path[PATH_MAX];
	int ret;

	if (argc != 2)
		return err_set(err, EINVAL, "policy show: cordon policy show NAME");
	ret = policy_fetch(argv[1], &policy, NULL, err);
	if (ret == -ESRCH || ret == -EINVAL) /* it has ended */
		ret = audit_log_find_both(argv[1], path, &policy, err);
	if (ret == 0 && !policy)
		ret = err_set(err, ENOENT, "%s: its policy is not kept", argv[1]);
	if (ret == 0)
		print_text(policy);
	policy_free(policy);
	return ret;
}

/* Read here, so that what is wrong is told before the sandbox hears of it. */
static int set(int argc, char **argv, struct err *err)
{
	static struct policy_options options;
	struct policy *current, *policy = NULL;
	const struct cli_options table = {policy_option_table, policy_option_count, &options};
	const struct policy_source *source;
	int at = cli_parse(&table, 1, argc, argv, err), ret = at < 0 ? at : 0, i;

	if (ret == 0 && (at >= argc || (at + 1 == argc && !options.policies)))
		return err_set(
			err, EINVAL,
			"policy set: cordon policy set [--allow-net NAME:PORT] NAME FILE ...");
	for (i = at + 1; ret == 0 && i < argc; i++)
		ret = policy_add_file(&options, argv[i], err);
	if (ret == 0)
		ret = policy_fetch(argv[at], &current, NULL, err);
	if (ret < 0)
		return ret;
	source = policy_source(current);
	options.rootfs = source->rootfs;
	options.shares = source->shares;
	memcpy(options.share, source->share, source->shares * sizeof(options.share[0]));
	ret = policy_load(&policy, &options, err);
	if (ret == 0)
		ret = policy_replace(argv[at], policy, err);
	policy_free(policy);
	policy_free(current);
	return ret;
}

static const struct subverb {
	const char *name, *usage;
	int (*run)(int argc, char **argv, struct err *err);
} subverbs[] = {
	{"check", "[--require host] [--share HOST:GUEST] [--allow-net NAME:PORT] FILE ...",
	 policy_check},
	{"explain", "FILE file|exec PATH, FILE net PROTOCOL PEER", policy_explain_verb},
	{"presets", "[NAME]", presets},
	{"show", "NAME", show},
	{"set", "[--allow-net NAME:PORT] NAME FILE ...", set},
	{"learn", "LOG", policy_learn},
	{"replay", "LOG FILE", policy_replay},
};

void help_policy(void)
{
	size_t i;

	printf("\n");
	for (i = 0; i < ARRAY_SIZE(subverbs); i++)
		printf("  cordon policy %-8s %s\n", subverbs[i].name, subverbs[i].usage);
	printf("\nFILE is a policy file, - for standard input, or a preset; several are one "
	       "policy, rules in "
	       "the order\ngiven; LOG the path of an audit log (with a '/' in it), the sandbox "
	       "whose log "
	       "it\nis, or --last: the last 'cordon run'.\n");
}

int cmd_policy(int argc, char **argv)
{
	const char *names[ARRAY_SIZE(subverbs)], *near;
	struct err err = {.text = ""};
	char verb[32];
	int ret = -EINVAL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(subverbs); i++) {
		names[i] = subverbs[i].name;
		if (argc < 2 || strcmp(argv[1], subverbs[i].name) != 0)
			continue;
		snprintf(verb, sizeof(verb), "policy %s", subverbs[i].name);
		argv[1] = verb; /* for messages */
		ret = subverbs[i].run(argc - 1, argv + 1, &err);
		if (ret < 0)
			log_error("%s", err.text);
		return ret < 0 ? EXIT_CORDON : ret;
	}
	near = argc > 1 ? nearest_word(argv[1], names, ARRAY_SIZE(names)) : NULL;
	if (near)
		log_error("policy: unknown command '%s': did you mean '%s'?", argv[1], near);
	else
		log_error("policy: which command? see 'cordon help policy'");
	return EXIT_CORDON;
}
