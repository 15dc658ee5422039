/* SPDX-License-Identifier: Apache-2.0 */
/* cordon why: explain a denial. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/base/special.h"
#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/audit_print.h"
#include "vmm/cli/verb.h"
#include "vmm/control/record.h"
#include "vmm/control/registry.h"
#include "vmm/policy/explain.h"

/* Of the line about an answer (vmm/relay/names.c) without an address that the guest got. */
#define NOTHING_LEFT	 " addresses="
#define NOTHING_STRIPPED "stripped=0"

struct search {
	uint64_t sequence; /* 0: the last denial */
	json_t *found;
	bool is_lookup; /* found is a lookup: used only if there is no denial */
	bool replaced;	/* the policy was set after it */
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

/* An event that kept the sandbox from the network without a rule that decided. */
static bool is_refusal(const struct audit_entry *entry, const json_t *json)
{
	const char *detail = json_string_value(json_object_get(json, "detail"));

	if (entry->event && strcmp(entry->event, "dns-answer") == 0)
		return detail && strstr(detail, NOTHING_STRIPPED) == NULL &&
		       ends_with(detail, NOTHING_LEFT);
	return entry->event && (strcmp(entry->event, "flow-refused") == 0 ||
				strcmp(entry->event, "network-lost") == 0);
}

static int look_for(void *arg, const char *line, size_t length, const json_t *json, struct err *err)
{
	struct search *search = arg;
	struct audit_entry entry;
	bool is_lookup;

	(void)line;
	(void)length;
	(void)err;
	audit_entry_read(&entry, json);
	if (entry.event && strcmp(entry.event, "policy-set") == 0)
		search->replaced = true;
	if (!entry.is_decision && !is_refusal(&entry, json))
		return 0;
	if (search->sequence ? entry.sequence != search->sequence
			     : entry.is_decision && strcmp(entry.verdict, "allow") == 0)
		return 0;
	/* A hidden name in a listing is not a denial, and there are many. */
	is_lookup = entry.is_decision && entry.request.op == POLICY_LOOKUP;
	if (search->found && is_lookup && !search->is_lookup)
		return 0;
	search->is_lookup = is_lookup;
	json_decref(search->found);
	search->found = json_deep_copy(json);
	search->replaced = false;
	return 0;
}

static void print_rule(const char *before, const struct policy_rule *rule)
{
	text_line(stdout, "%s%s:%u: %s", before, rule->file, rule->line, rule->text);
}

/*
 * Picks the denied one of an operation's two names. Where an operator could approve both, and only
 * the move as a whole is denied, it stays that.
 */
static void pick_end(const struct policy *policy, struct policy_request *request)
{
	struct policy_decision decision, whole;
	struct policy_request one = *request;

	policy_decide(policy, request, &whole);
	one.other = NULL;
	one.directory = false;
	policy_decide(policy, &one, &decision);
	if (decision.verdict == POLICY_ALLOW && request->other) {
		one.object = request->other;
		one.length = request->other_length;
		policy_decide(policy, &one, &decision);
	}
	if (decision.verdict != POLICY_ALLOW &&
	    (decision.verdict != POLICY_ASK || whole.verdict == POLICY_ASK))
		*request = one;
}

/* The line to add, and where. */
static void print_line(const struct policy_explanation *explanation)
{
	if (explanation->is_protected)
		printf("The host trusts or runs this path, or it holds secrets. To allow it "
		       "nevertheless, ");
	else
		printf("To allow it, ");
	printf("add\n    ");
	text_line(stdout, "%s", explanation->line);
	if (explanation->above)
		text_line(stdout, "above %s:%u%s", explanation->above->file,
			  explanation->above->line,
			  strcmp(explanation->above->file, POLICY_ADDED) == 0
				  ? ", which 'cordon policy undo' takes back"
				  : "");
	else
		printf("at the end of the policy\n");
}

/* What the line about a connection or query does not say. */
static void print_net_hints(const struct policy_request *request)
{
	const struct policy_net *net = &request->net;
	const struct special_range *range =
		net->family && !net->host ? special_range(net->family, net->address) : NULL;

	if (request->op == POLICY_RESOLVE)
		printf("That opens no connection: a rule about one, such as 'net allow tls "
		       "NAME:443', also permits\nthe query.\n");
	if (range)
		printf("The address is not of the public Internet (%s): rules with names or "
		       "stars do not open it.\n",
		       range->what);
	else if (request->op == POLICY_CONNECT && net->protocol == POLICY_TCP && net->port == 443)
		printf("For a program that speaks TLS, write tls in place of tcp: that opens "
		       "less.\n");
}

/* name: as the user gave it. The line is not repeated: a shell might run what the guest chose. */
static void print_how_to_approve(const struct policy *policy, const char *name)
{
	pid_t monitor;

	if (policy_on_ask(policy)->way == POLICY_ON_ASK_DENY)
		printf("With 'on-ask deny' no operator is asked: 'cordon policy add NAME LINE' "
		       "adds the line while a sandbox runs.\n");
	else if (registry_find(name, &monitor, NULL) == 0)
		printf("An operator may approve it when it is tried again: 'cordon ask %s'; "
		       "'cordon policy add %s LINE' adds the line now.\n",
		       name, name);
	else
		printf("While such a sandbox runs, an operator may approve it: 'cordon ask NAME', "
		       "or add the line: 'cordon policy add NAME LINE'.\n");
}

/* What to change for a refusal with this reason. The words are those of vmm/relay. */
static const char *refusal_advice(const char *event, const char *reason)
{
	static const struct {
		const char *in, *advice;
	} table[] = {
		{"ping_group_range", "Pings need the user's group in net.ipv4.ping_group_range of "
				     "the host, for example:\n"
				     "    sysctl -w net.ipv4.ping_group_range='0 2147483647'"},
		{"echo request of more than",
		 "Pings of at most 64 bytes pass, 'ping -s 56' for example."},
		{NOTHING_LEFT,
		 "The name has no address but such as are not of the public Internet, "
		 "which no rule with a name opens:\n"
		 "they were left out of the answer. If you trust the place, add a rule "
		 "with its address, such as\n"
		 "    net allow tcp 10.1.2.3:443\n"
		 "and let the program use the address."},
		{"TLS ClientHello",
		 "A 'tls' rule opens TLS only. For another protocol, write a 'tcp' rule."},
		{"no DNS reply gave this address",
		 "A rule with a name opens the addresses that the sandbox's own DNS queries gave "
		 "for "
		 "it: the program has to\nresolve the name. For an address, write a rule with that "
		 "address."},
	};
	size_t i;

	if (strcmp(event, "network-lost") == 0)
		return "The sandbox has no network any more: start another one.";
	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (strstr(reason, table[i].in))
			return table[i].advice;
	return "No rule decided: docs/network.md has what is refused.";
}

static void print_refusal(const struct search *search)
{
	const char *detail = json_string_value(json_object_get(search->found, "detail"));
	struct audit_entry entry;

	audit_entry_read(&entry, search->found);
	audit_print_entry(&entry, search->found);
	text_line(stdout, "reason: %s", detail ? detail : "?");
	printf("%s\n", refusal_advice(entry.event, detail ? detail : ""));
}

static void print_why(const char *name, const struct policy *policy, const struct search *search)
{
	static struct policy_explanation explanation;
	struct audit_entry entry;

	audit_entry_read(&entry, search->found);
	audit_print_entry(&entry, search->found);
	text_line(stdout, "reason: %s", entry.reason ? entry.reason : "?");
	if (search->replaced)
		printf("The policy was replaced after that; the following is about the current "
		       "one.\n");
	pick_end(policy, &entry.request);
	policy_explain(policy, &entry.request, &explanation);
	if (explanation.decision.verdict == POLICY_ALLOW) {
		printf("It is allowed%s.\n", explanation.decision.rule ? " by a rule" : "");
		if (explanation.decision.rule)
			print_rule("rule: ", explanation.decision.rule);
		return;
	}
	if (explanation.decision.rule)
		print_rule("rule: ", explanation.decision.rule);
	else if (policy_request_is_pathless(&entry.request))
		printf("rule: none can match a program that has no path in the sandbox\n");
	else
		printf("rule: none matches, and what no rule allows is denied\n");
	if (entry.request.directory && entry.request.other) {
		printf("It is moved only where the rules beneath both names are the same. Else "
		       "programs get EXDEV, and\n'mv' copies, each file under its own rule.\n");
		return;
	}
	if (explanation.nearest)
		print_rule(explanation.matches ? "a later rule would have allowed it: "
					       : "nearest rule that allows: ",
			   explanation.nearest);
	if (!explanation.line[0])
		return;
	print_line(&explanation);
	if (entry.request.class == POLICY_NET)
		print_net_hints(&entry.request);
	if (explanation.decision.verdict == POLICY_ASK)
		print_how_to_approve(policy, name);
}

/* Without the policy: prints what the log itself says. */
static void print_without_policy(const struct search *search)
{
	struct audit_entry entry;

	audit_entry_read(&entry, search->found);
	audit_print_entry(&entry, search->found);
	text_line(stdout, "reason: %s", entry.reason ? entry.reason : "?");
	printf("The policy is not beside the log: 'cordon policy explain' shows what another one "
	       "decides.\n");
}

/* The groups of system calls that the policy closes and that are open by default: " ptrace". */
static void closed_groups(const struct policy *policy, char *to, size_t size)
{
	uint32_t closed = policy ? policy_open_groups(NULL) & ~policy_open_groups(policy) : 0;
	size_t used = 0;
	unsigned group;

	to[0] = '\0';
	for (group = 0; group < POLICY_GROUPS; group++)
		if (closed & 1u << group)
			used += (size_t)snprintf(to + used, size - used, " %s",
						 policy_group_name((enum policy_group)group));
}

/* Nothing in the log is what was looked for. */
static int not_found(const char *name, const char *sequence, const struct policy *policy,
		     struct err *err)
{
	char closed[256];

	if (sequence)
		return err_set(err, ENOENT, "%s: line %s is not a decision: see 'cordon audit %s'",
			       name, sequence, name);
	closed_groups(policy, closed, sizeof(closed));
	if (closed[0])
		return err_set(err, ENOENT,
			       "%s: nothing was denied, but the policy closes system calls that "
			       "fail without a line in the log:%s ('process allow GROUP' opens "
			       "a group)",
			       name, closed);
	if (policy && policy_rule_count(policy, POLICY_NET) == 0)
		return err_set(err, ENOENT,
			       "%s: nothing was denied; without a 'net' rule there is no network, "
			       "whose use would be logged: for one, add a rule, or give "
			       "--allow-net NAME:PORT",
			       name);
	return err_set(err, ENOENT, "%s: nothing was denied", name);
}

static int run(int argc, char **argv, struct err *err)
{
	struct search search = {.sequence = 0};
	const char *name, *line;
	struct policy *policy = NULL;
	struct audit_entry entry;
	char path[PATH_MAX];
	static const struct verb_words words = {&verb_why, NULL, 1, 2, "of which sandbox?"};
	char **rest;
	int count = audit_log_words(&words, argc, argv, &name, &rest, err), ret = 0;

	if (count < 0)
		return count;
	line = count > 0 ? rest[0] : NULL;

	if (ret == 0 && line)
		ret = quantity_number(line, 1, INT64_MAX, &search.sequence, err);
	if (ret == 0)
		ret = audit_log_find_both(name, path, &policy, err);
	if (ret == 0)
		ret = audit_log_read(path, NULL, look_for, &search, err);
	if (ret == 0 && !search.found)
		ret = not_found(name, search.sequence ? line : NULL, policy, err);
	audit_entry_read(&entry, search.found);
	if (ret == 0 && !entry.is_decision)
		print_refusal(&search);
	else if (ret == 0 && policy)
		print_why(name, policy, &search);
	else if (ret == 0)
		print_without_policy(&search);
	json_decref(search.found);
	policy_free(policy);
	return ret;
}

static const struct option_table *const tables[] = {&audit_log_last_table, NULL};

const struct verb verb_why = {
	.name = "why",
	.group = VERB_POLICY,
	.usage = "NAME [SEQ]\n"
		 "--last [SEQ]",
	.summary = "explain a denial: the rule, and what to change",
	.options = tables,
	.description =
		"Explains the last denial, or line SEQ of the log: the rule that decided, the rule "
		"that would have allowed it, and the line to add; of an `ask` rule also how an "
		"operator "
		"approves it. Also what the network refused without a rule, and what it takes.\n"
		"\n"
		"NAME is a sandbox, also one that has ended (NAME or NAME~N, see `cordon ps -a`), "
		"or the path of a log, with a slash in it. `--last` is the last `cordon run`.",
	.see_also = "audit policy cordon-policy(5)",
	.run = run,
};
