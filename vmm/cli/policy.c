/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy: look at policies, explain them, and give a sandbox another one. */
#include "vmm/cli/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/base/quantity.h"
#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/policy_file.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/cli/share_leads.h"
#include "vmm/control/planted.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/risks.h"

/* --- check ------------------------------------------------------------------------------------ */

struct check_options {
	struct policy_options policy;
	bool require_host;
};

static int set_share(void *arg, const char *value, struct err *err)
{
	return policy_add_share(&((struct check_options *)arg)->policy, value, err);
}

static int set_rootfs(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct check_options *)arg)->policy.rootfs = true;
	return 0;
}

static int set_require(void *arg, const char *value, struct err *err)
{
	if (strcmp(value, "host") != 0)
		return err_set(err, EINVAL, "'%s': only host can be required", value);
	((struct check_options *)arg)->require_host = true;
	return 0;
}

static const struct cli_option check_option_table[] = {
	{"require", 0, "host", "refuse rules that only the guest's kernel enforces", set_require},
	{"share", 0, "HOST:GUEST", "as if the command line gave that share", set_share},
	{"rootfs", 0, NULL, "as if the root file system came from the host", set_rootfs},
};

static int print_limits(const struct policy *policy, bool require_host, struct err *err)
{
	static const char *const name[] = {"cpus", "memory", "processes", "disk", "wall", "idle"};
	const struct policy_limits *limits = policy_limits(policy);
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(name); i++) {
		if (!limits->line[i])
			continue;
		if (i == LIMIT_PROCESSES && require_host)
			return err_set(err, EPERM,
				       "%s:%u: only the guest's kernel enforces this, and "
				       "--require host is given: limit %s",
				       limits->file[i], limits->line[i], name[i]);
		text_line(stdout, "%s:%u: %s: limit %s", limits->file[i], limits->line[i],
			  i == LIMIT_PROCESSES ? "guest" : "host", name[i]);
	}
	return 0;
}

static int print_rules(const struct policy *policy, bool require_host, struct err *err)
{
	const struct policy_share *share;
	const struct policy_rule *rule;
	unsigned class;
	size_t i;
	int ret;

	ret = print_limits(policy, require_host, err);
	for (i = 0; ret == 0 && i < policy_share_count(policy); i++) {
		share = policy_share(policy, i);
		if (share->file)
			text_line(stdout, "%s:%u: host: share %s %s%s", share->file, share->line,
				  share->host, share->guest, share->read_only ? " ro" : "");
	}
	for (class = 0; ret == 0 && class < POLICY_CLASSES; class ++)
		for (i = 0; i < policy_rule_count(policy, (enum policy_class) class); i++) {
			rule = policy_rule(policy, (enum policy_class) class, i);
			if (require_host && rule->enforced_by != POLICY_HOST)
				return err_set(err, EPERM,
					       "%s:%u: only the guest's kernel enforces this, and "
					       "--require host is given: %.200s",
					       rule->file, rule->line, rule->text);
			text_line(stdout, "%s:%u: %s: %s", rule->file, rule->line,
				  policy_enforced_by_name(rule->enforced_by), rule->text);
		}
	return ret;
}

static void print_risk(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

static int check(int argc, char **argv, struct err *err)
{
	static struct check_options options;
	const struct cli_options tables[] = {
		{check_option_table, ARRAY_SIZE(check_option_table), &options},
		{policy_option_table, policy_option_count, &options.policy},
	};
	const struct policy_risk_ops risks = {.tell = print_risk};
	const struct policy_share *share;
	struct policy *policy = NULL;
	int at = cli_parse(tables, ARRAY_SIZE(tables), argc, argv, err), ret = at < 0 ? at : 0;
	size_t i;

	if (ret == 0 && at == argc && !options.policy.policies && !options.policy.allow_nets)
		return err_set(err, EINVAL, "policy check: cordon policy check [options] FILE ...");
	for (; ret == 0 && at < argc; at++)
		ret = policy_add_file(&options.policy, argv[at], err);
	if (ret == 0)
		ret = policy_load(&policy, &options.policy, err);
	if (ret == 0)
		ret = print_rules(policy, options.require_host, err);
	if (ret == 0) {
		policy_risks(policy, &risks);
		share_leads(policy, &risks);
	}
	for (i = 0; ret == 0 && (share = policy_share(policy, i)); i++)
		if (!share->read_only)
			planted_find(share->host, NULL, &(struct planted_ops){.tell = print_risk});
	policy_free(policy);
	return ret;
}

/* --- explain ---------------------------------------------------------------------------------- */

static void explain_one(const struct policy *policy, const struct policy_request *request)
{
	static struct policy_explanation explanation;

	policy_explain(policy, request, &explanation);
	printf("%-10s %-5s %s", policy_op_name(request->op),
	       policy_verdict_name(explanation.decision.verdict), explanation.decision.reason);
	if (explanation.decision.rule) {
		printf(" (");
		text_put(stdout, explanation.decision.rule->file);
		printf(":%u: ", explanation.decision.rule->line);
		text_put(stdout, explanation.decision.rule->text);
		putchar(')');
	}
	printf(" [%s]\n", policy_enforced_by_name(explanation.decision.enforced_by));
}

/* NAME:PORT, ADDRESS:PORT, [ADDRESS]:PORT, or without a port where the protocol has none. */
static int parse_peer(char *text, struct policy_net *net, struct err *err)
{
	char *port = strrchr(text, ':'), *end;
	uint64_t number;
	int ret;

	if (net->protocol != POLICY_ICMP && net->protocol != POLICY_DNS) {
		if (!port)
			return err_set(err, EINVAL, "'%s': give NAME:PORT or ADDRESS:PORT", text);
		*port++ = '\0';
		ret = quantity_number(port, 1, UINT16_MAX, &number, err);
		if (ret < 0)
			return ret;
		net->port = (uint16_t)number;
	}
	end = text + strlen(text);
	if (text[0] == '[' && end[-1] == ']') {
		*--end = '\0';
		text++;
	}
	if (inet_pton(AF_INET, text, net->address) == 1)
		net->family = AF_INET;
	else if (inet_pton(AF_INET6, text, net->address) == 1)
		net->family = AF_INET6;
	else
		net->name = text;
	net->host = net->name && strcmp(text, "host") == 0;
	return 0;
}

static int explain_net(const struct policy *policy, int argc, char **argv, struct err *err)
{
	static const char *const words[] = {"tcp", "udp", "tls", "http", "icmp", "dns"};
	struct policy_request request = {.class = POLICY_NET, .op = POLICY_CONNECT};
	unsigned i;
	int ret;

	if (argc != 2)
		return err_set(err, EINVAL,
			       "policy explain: cordon policy explain FILE net PROTOCOL PEER");
	for (i = 0; i < ARRAY_SIZE(words) && strcmp(words[i], argv[0]) != 0;)
		i++;
	if (i == ARRAY_SIZE(words))
		return err_set(err, EINVAL, "'%s' is none of tcp, udp, tls, http, icmp, dns",
			       argv[0]);
	request.net.protocol = (enum policy_protocol)i;
	if (request.net.protocol == POLICY_DNS)
		request.op = POLICY_RESOLVE;
	ret = parse_peer(argv[1], &request.net, err);
	if (ret == 0)
		explain_one(policy, &request);
	return ret;
}

static int explain_path(const struct policy *policy, enum policy_class class, int argc, char **argv,
			struct err *err)
{
	struct policy_request request = {.class = class, .root = POLICY_ROOT_FIND};
	unsigned op;

	if (argc != 1 || argv[0][0] != '/')
		return err_set(err, EINVAL, "policy explain: give one absolute path of the guest");
	request.object = argv[0];
	request.length = strlen(argv[0]);
	if (class == POLICY_EXEC) {
		request.op = POLICY_RUN;
		explain_one(policy, &request);
		return 0;
	}
	for (op = POLICY_LOOKUP; op <= POLICY_ATTRIBUTES; op++) {
		request.op = (enum policy_op)op;
		explain_one(policy, &request);
	}
	return 0;
}

static int explain(int argc, char **argv, struct err *err)
{
	static struct policy_options options = {.lenient = true};
	struct policy *policy;
	int ret;

	if (argc < 4)
		return err_set(err, EINVAL,
			       "policy explain: cordon policy explain FILE file|exec PATH, or FILE "
			       "net PROTOCOL PEER");
	ret = policy_add_file(&options, argv[1], err);
	if (ret == 0)
		ret = policy_load(&policy, &options, err);
	if (ret < 0)
		return ret;
	if (strcmp(argv[2], "file") == 0)
		ret = explain_path(policy, POLICY_FILE, argc - 3, argv + 3, err);
	else if (strcmp(argv[2], "exec") == 0)
		ret = explain_path(policy, POLICY_EXEC, argc - 3, argv + 3, err);
	else if (strcmp(argv[2], "net") == 0)
		ret = explain_net(policy, argc - 3, argv + 3, err);
	else
		ret = err_set(err, EINVAL, "'%s' is no class: file, net or exec", argv[2]);
	policy_free(policy);
	return ret;
}

/* --- presets, show, set --------------------------------------------------------------------------
 */

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
	{"check", "[--require host] [--share HOST:GUEST] [--allow-net NAME:PORT] FILE ...", check},
	{"explain", "FILE file|exec PATH, FILE net PROTOCOL PEER", explain},
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
