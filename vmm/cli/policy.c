/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy: inspect policies, explain them, and replace that of a sandbox. */
#include "vmm/cli/policy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/launch/policy_file.h"

static int presets(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_policy, "presets", 0, 1, NULL};
	int count = verb_words(&words, NULL, 0, argc, argv, err);
	const char *name, *text = count > 0 ? policy_preset_text(argv[1]) : NULL;
	const char *near = count > 0 ? policy_preset_near(argv[1]) : NULL;
	size_t i;

	if (count < 0)
		return count;
	if (text)
		fputs(text, stdout);
	else if (near)
		return err_set(err, ENOENT,
			       "policy presets: there is no preset '%.60s': did you mean '%s'?",
			       argv[1], near);
	else if (count > 0)
		return err_set(err, ENOENT, "policy presets: there is no preset '%.60s'", argv[1]);
	for (i = 0; count == 0 && (name = policy_preset_name(i)); i++)
		printf("%s\n", name);
	return 0;
}

/* Prints each file under its name, and the rules of --allow-net as comments. */
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
	static const struct verb_words words = {&verb_policy, "show", 1, 1, "of which sandbox?"};
	const char *name;
	char **rest;
	int ret = audit_log_words(&words, argc, argv, &name, &rest, err);

	if (ret < 0)
		return ret;
	ret = policy_fetch(name, &policy, NULL, err);
	if (ret == -ESRCH || ret == -EINVAL) /* it has ended */
		ret = audit_log_find_both(name, path, &policy, err);
	if (ret == 0 && !policy)
		ret = err_set(err, ENOENT, "%s: its policy is not kept", name);
	if (ret == 0)
		print_text(policy);
	policy_free(policy);
	return ret;
}

/* Parses the policy here first, so that mistakes are reported before the sandbox is contacted. */
static int set(int argc, char **argv, struct err *err)
{
	static struct policy_options options;
	struct policy *current, *policy = NULL;
	const struct option_set option_set = {&policy_option_table, &options};
	const struct policy_source *source;
	static const struct verb_words words = {&verb_policy, "set", 1, VERB_WORDS_ANY,
						"of which sandbox?"};
	int count = verb_words(&words, &option_set, 1, argc, argv, err), ret = 0, i;

	if (count < 0)
		return count;
	if (count == 1 && !options.policies)
		return verb_usage_error(&verb_policy, "set", "which policy?", err);
	for (i = 2; ret == 0 && i <= count; i++)
		ret = policy_add_file(&options, argv[i], err);
	if (ret == 0)
		ret = policy_fetch(argv[1], &current, NULL, err);
	if (ret < 0)
		return ret;
	source = policy_source(current);
	options.rootfs = source->rootfs;
	options.shares = source->shares;
	memcpy(options.share, source->share, source->shares * sizeof(options.share[0]));
	ret = policy_load(&policy, &options, err);
	if (ret == 0)
		ret = policy_replace(argv[1], policy, err);
	policy_free(policy);
	policy_free(current);
	return ret;
}

static const struct option_table *const check_tables[] = {
	&policy_check_option_table, &policy_option_table, &share_option_table, NULL};
static const struct option_table *const add_tables[] = {&policy_add_option_table, NULL};
static const struct option_table *const set_tables[] = {&policy_option_table, NULL};

static const struct option_table *const last_tables[] = {&audit_log_last_table, NULL};

static const struct subverb subverbs[] = {
	{"check", "[options] FILE ...",
	 "Report an error in a policy, or print its rules and where each is enforced, and warn "
	 "of risks.",
	 check_tables, policy_check},
	{"explain",
	 "FILE file|exec PATH\nFILE net PROTOCOL PEER\nFILE net http METHOD HOST/PATH\nFILE "
	 "process GROUP",
	 "Print the decision on an operation, and the rule that makes it. PEER is NAME:PORT or "
	 "ADDRESS:PORT, of icmp and dns without a port; HOST may have a port, too.",
	 NULL, policy_explain_verb},
	{"presets", "[NAME]", "List the presets, or print one.", NULL, presets},
	{"show", "NAME|--last", "Print the policy of a sandbox, also of one that has ended.",
	 last_tables, show},
	{"set", "[options] NAME FILE ...",
	 "Replace the policy of a sandbox, from the next operation on.", set_tables, set},
	{"add", "[--dry-run] [--json] NAME RULE",
	 "Add one rule to the policy of a running sandbox, such as `net allow tls x.example:443`. "
	 "It is tried before all others; what it allows of the network stays denied where another "
	 "rule denies it.",
	 add_tables, policy_add},
	{"undo", "NAME", "Take back the rule that was added last.", NULL, policy_undo},
	{"learn", "LOG|--last",
	 "Print a policy that would have allowed what a log shows, except protected places.",
	 last_tables, policy_learn},
	{"replay", "LOG|--last FILE",
	 "Print the decisions of a log that FILE would make differently.", last_tables,
	 policy_replay},
	{NULL, NULL, NULL, NULL, NULL},
};

const struct verb verb_policy = {
	.name = "policy",
	.group = VERB_POLICY,
	.summary = "inspect policies, and replace that of a sandbox",
	.description = "FILE is a policy file, `-` for standard input, or a preset; several are "
		       "one policy, "
		       "with their rules in the order given. LOG is a sandbox's name, also of one "
		       "that has "
		       "ended (NAME or NAME~N), the path of a log, with a slash in it, or "
		       "`--last`, the log "
		       "of the last `cordon run`.",
	.subverbs = subverbs,
	.examples = "  cordon policy check agent\n"
		    "  cordon policy explain agent net tls example.com:443\n"
		    "  cordon policy learn --last > learned.policy",
	.exit_status =
		"0; 1 if `policy replay` found decisions that would be different; 125 for errors.",
	.see_also = "audit why ask cordon-policy(5)",
};
