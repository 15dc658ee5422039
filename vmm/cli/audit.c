/* SPDX-License-Identifier: Apache-2.0 */
/* cordon audit and why: what was decided, and what to do about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/print.h"
#include "vmm/control/record.h"
#include "vmm/policy/audit_sign.h"
#include "vmm/policy/explain.h"

/* Text of a guest's, harmless on a terminal. */
static void put_safe(const char *text)
{
	text_put(stdout, text);
}

/* --- audit ------------------------------------------------------------------------------------ */

struct audit_options {
	const char *class, *verdict;
	bool follow, json, verify, head, last;
	const char *public; /* the public key's file, or NULL */
};

static int set_follow(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct audit_options *)arg)->follow = true;
	return 0;
}

static int set_json(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct audit_options *)arg)->json = true;
	return 0;
}

static int set_verify(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct audit_options *)arg)->verify = true;
	return 0;
}

static int set_last(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct audit_options *)arg)->last = true;
	return 0;
}

static int set_head(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct audit_options *)arg)->head = true;
	return 0;
}

static int set_pubkey(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct audit_options *)arg)->public = value;
	return 0;
}

static int set_class(void *arg, const char *value, struct err *err)
{
	if (strcmp(value, "file") != 0 && strcmp(value, "net") != 0 && strcmp(value, "exec") != 0)
		return err_set(err, EINVAL, "'%s' is none of file, net, exec", value);
	((struct audit_options *)arg)->class = value;
	return 0;
}

static int set_verdict(void *arg, const char *value, struct err *err)
{
	if (strcmp(value, "allow") != 0 && strcmp(value, "deny") != 0 && strcmp(value, "hide") != 0)
		return err_set(err, EINVAL, "'%s' is none of allow, deny, hide", value);
	((struct audit_options *)arg)->verdict = value;
	return 0;
}

static const struct cli_option audit_option_table[] = {
	{"follow", 'f', NULL, "go on until the sandbox has ended", set_follow},
	{"class", 0, "CLASS", "only file, net or exec", set_class},
	{"verdict", 0, "VERDICT", "only allow, deny or hide", set_verdict},
	{"json", 0, NULL, "the lines as they are in the log", set_json},
	{"verify", 0, NULL, "check that no line was changed or removed", set_verify},
	{"pubkey", 0, "FILE", "with --verify: that it was signed (--sign) with this key",
	 set_pubkey},
	{"head", 0, NULL, "check it, and print the last hash of each chain", set_head},
	{"last", 0, NULL, "the log of the last 'cordon run'", set_last},
};

void help_audit(void)
{
	printf("\nOptions:\n");
	cli_print_options(audit_option_table, ARRAY_SIZE(audit_option_table));
	printf("\nNAME is a sandbox, one that has ended (NAME or NAME~N, see 'cordon ps -a'), or "
	       "the "
	       "path of\na log (with a '/' in it).\n");
}

static void print_net(const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	const char *address = json_string_value(json_object_get(json, "address"));
	const char *protocol = json_string_value(json_object_get(json, "protocol"));
	json_int_t port = json_integer_value(json_object_get(json, "port"));

	putchar(' ');
	put_safe(protocol ? protocol : "?");
	putchar(' ');
	put_safe(name ? name : address ? address : "?");
	if (name && address) {
		printf(" (");
		put_safe(address);
		putchar(')');
	}
	if (port)
		printf(" port %lld", (long long)port);
}

static void print_gap(const json_t *json)
{
	static const char *const names[] = {"allowed", "refused", "denied", "hidden", "lost"};
	const json_t *value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		value = json_object_get(json, names[i]);
		if (value)
			printf(" %s=%lld", names[i], (long long)json_integer_value(value));
	}
}

static void print_entry(const struct audit_entry *entry, const json_t *json)
{
	const char *detail = json_string_value(json_object_get(json, "detail"));
	const char *key = json_string_value(json_object_get(json, "key"));

	printf("%llu ", (unsigned long long)entry->sequence);
	put_safe(entry->time ? entry->time : "?");
	putchar(' ');
	if (!entry->is_decision) {
		put_safe(entry->event ? entry->event : "?");
		if (entry->event && strcmp(entry->event, "gap") == 0)
			print_gap(json);
		if (key) {
			putchar(' ');
			put_safe(key);
		}
	} else {
		put_safe(entry->verdict);
		printf("%*s %s %s",
		       strlen(entry->verdict) < 5 ? 5 - (int)strlen(entry->verdict) : 0, "",
		       policy_class_name(entry->request.class), policy_op_name(entry->request.op));
		if (entry->request.class == POLICY_NET)
			print_net(json);
	}
	if (entry->request.object) {
		putchar(' ');
		put_safe(entry->request.object);
	}
	if (entry->request.other) {
		printf(" -> ");
		put_safe(entry->request.other);
	}
	if (detail) {
		putchar(' ');
		put_safe(detail);
	}
	if (entry->is_decision && entry->rule) {
		printf("  (");
		put_safe(entry->rule);
		putchar(')');
	}
	putchar('\n');
}

static int show_entry(void *arg, const char *line, size_t length, const json_t *json,
		      struct err *err)
{
	struct audit_options *options = arg;
	struct audit_entry entry;
	const char *class = json_string_value(json_object_get(json, "class"));

	(void)err;
	audit_entry_read(&entry, json);
	if (options->class && (!class || strcmp(class, options->class) != 0))
		return 0;
	if (options->verdict && (!entry.verdict || strcmp(entry.verdict, options->verdict) != 0))
		return 0;
	if (options->json)
		print_json_line(line, length);
	else
		print_entry(&entry, json);
	return 0;
}

static void print_head(const struct audit_check *check)
{
	printf("allowed %llu %s\ndenials %llu %s\n",
	       (unsigned long long)check->chain[AUDIT_ALLOWED].sequence,
	       check->chain[AUDIT_ALLOWED].hash,
	       (unsigned long long)check->chain[AUDIT_DENIALS].sequence,
	       check->chain[AUDIT_DENIALS].hash);
}

/* --verify and --head. */
static int verify(const struct audit_options *options, const char *path, struct err *err)
{
	char fingerprint[SSH_FINGERPRINT_SIZE] = "";
	uint8_t public[SSH_KEY_SIZE];
	struct audit_check check;
	int ret = options->public ? audit_public_read(public, options->public, err) : 0;

	if (ret == 0)
		ret = audit_log_verify(path, options->public ? public : NULL, &check, err);
	if (ret < 0)
		return ret;
	if (options->public)
		ssh_fingerprint(public, fingerprint);
	if (!options->head)
		printf("lines %llu to %llu are whole%s%s%s; the last of each chain and its "
		       "hash:\n",
		       (unsigned long long)check.first, (unsigned long long)check.sequence,
		       options->public ? " and signed by " : "", fingerprint,
		       check.chain[AUDIT_DENIALS].closed
			       ? ""
			       : "; the log is not closed (it is being written, or was cut)");
	print_head(&check);
	return 0;
}

/* What the arguments name. 0 or -errno with a message. */
static int parse_audit(int argc, char **argv, struct audit_options *options,
		       struct record_info *last, const char **name, struct err *err)
{
	const struct cli_options table = {audit_option_table, ARRAY_SIZE(audit_option_table),
					  options};
	int at = cli_parse(&table, 1, argc, argv, err), rest;

	*name = NULL;
	if (at >= 0 && at < argc) {
		*name = argv[at];
		argv[at] = argv[0]; /* the verb, for messages */
		rest = cli_parse(&table, 1, argc - at, argv + at, err);
		at = rest < 0 ? rest : at + rest;
	}
	if (at < 0)
		return at;
	if (at < argc || !*name == !options->last)
		return err_set(err, EINVAL,
			       "audit: one name is needed, or --last: cordon audit [options] NAME");
	if (options->public && !options->verify)
		return err_set(err, EINVAL, "audit: --pubkey is for --verify");
	if (options->follow && *name && strchr(*name, '/'))
		return err_set(err, EINVAL, "audit: --follow is for a sandbox that runs");
	if (!options->last)
		return 0;
	*name = last->id;
	return record_last_run(last, err);
}

int cmd_audit(int argc, char **argv)
{
	static struct audit_options options;
	static struct record_info last;
	const char *name;
	char path[PATH_MAX];
	struct err err;
	int ret = parse_audit(argc, argv, &options, &last, &name, &err);

	if (ret == 0)
		ret = audit_log_find(name, path, &err);
	if (ret == 0 && (options.verify || options.head))
		ret = verify(&options, path, &err);
	else if (ret == 0)
		ret = audit_log_read(path, options.follow ? name : NULL, show_entry, &options,
				     &err);
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}

/* --- why -------------------------------------------------------------------------------------- */

struct approval {
	uint64_t sequence; /* 0: the last denial */
	json_t *found;
	bool is_lookup; /* what was found: counts only where there is no denial */
	bool replaced;	/* the policy was set after it */
};

static int look_for(void *arg, const char *line, size_t length, const json_t *json, struct err *err)
{
	struct approval *question = arg;
	struct audit_entry entry;
	bool is_lookup;

	(void)line;
	(void)length;
	(void)err;
	audit_entry_read(&entry, json);
	if (entry.event && strcmp(entry.event, "policy-set") == 0)
		question->replaced = true;
	if (!entry.is_decision)
		return 0;
	if (question->sequence ? entry.sequence != question->sequence
			       : strcmp(entry.verdict, "allow") == 0)
		return 0;
	/* A listing that leaves something out is no denial, and there are many. */
	is_lookup = entry.request.op == POLICY_LOOKUP;
	if (question->found && is_lookup && !question->is_lookup)
		return 0;
	question->is_lookup = is_lookup;
	json_decref(question->found);
	question->found = json_deep_copy(json);
	question->replaced = false;
	return 0;
}

static void print_rule(const char *before, const struct policy_rule *rule)
{
	text_line(stdout, "%s%s:%u: %s", before, rule->file, rule->line, rule->text);
}

/* For an operation with two names the one that is refused. */
static void pick_end(const struct policy *policy, struct policy_request *request)
{
	struct policy_decision decision;
	struct policy_request one = *request;

	one.other = NULL;
	one.directory = false;
	policy_decide(policy, &one, &decision);
	if (decision.verdict == POLICY_ALLOW && request->other) {
		one.object = request->other;
		one.length = request->other_length;
		policy_decide(policy, &one, &decision);
	}
	if (decision.verdict != POLICY_ALLOW)
		*request = one;
}

static void print_why(const struct policy *policy, const struct approval *question)
{
	static struct policy_explanation explanation;
	struct audit_entry entry;

	audit_entry_read(&entry, question->found);
	print_entry(&entry, question->found);
	text_line(stdout, "reason: %s", entry.reason ? entry.reason : "?");
	if (question->replaced)
		printf("The policy was replaced after that; what follows is by the current one.\n");
	pick_end(policy, &entry.request);
	policy_explain(policy, &entry.request, &explanation);
	if (explanation.decision.verdict == POLICY_ALLOW) {
		printf("It is allowed%s.\n", explanation.decision.rule ? " by a rule" : "");
		if (explanation.decision.rule)
			print_rule("rule: ", explanation.decision.rule);
		return;
	}
	if (entry.request.directory && entry.request.other)
		printf("%s\n", explanation.decision.reason);
	if (explanation.decision.rule)
		print_rule("rule: ", explanation.decision.rule);
	else
		printf("rule: none; a class with rules ends in a denial\n");
	if (explanation.nearest)
		print_rule(explanation.matches ? "a later rule would have allowed it: "
					       : "nearest rule that allows: ",
			   explanation.nearest);
	if (!explanation.line[0] || (entry.request.directory && entry.request.other))
		return;
	if (explanation.is_protected)
		printf("The host trusts or runs this path, or it holds secrets. To allow it "
		       "nevertheless, ");
	else
		printf("To allow it, ");
	printf("add\n    ");
	text_line(stdout, "%s", explanation.line);
	if (explanation.above)
		text_line(stdout, "above %s:%u", explanation.above->file, explanation.above->line);
	else
		printf("at the end of the policy\n");
}

/* A log without its policy: what it says itself. */
static void print_without_policy(const struct approval *question)
{
	struct audit_entry entry;

	audit_entry_read(&entry, question->found);
	print_entry(&entry, question->found);
	text_line(stdout, "reason: %s", entry.reason ? entry.reason : "?");
	printf("The policy is not beside the log: 'cordon policy explain' tells what another one "
	       "says.\n");
}

void help_why(void)
{
	printf("\nNAME is as for 'cordon audit'; --last stands for the last 'cordon run'. Without "
	       "SEQ it is the\nlast denial.\n");
}

int cmd_why(int argc, char **argv)
{
	struct approval question = {.sequence = 0};
	static struct record_info last;
	const char *name = argc > 1 ? argv[1] : "-";
	struct policy *policy = NULL;
	char path[PATH_MAX];
	struct err err;
	int ret = 0;

	if (strcmp(name, "--last") == 0) {
		ret = record_last_run(&last, &err);
		name = last.id;
	}
	if (argc > 3 || name[0] == '-')
		ret = err_set(&err, EINVAL,
			      "why: one name is needed, or --last: cordon why NAME|--last [SEQ]");
	if (ret == 0 && argc == 3)
		ret = cli_parse_number(argv[2], 1, INT64_MAX, &question.sequence, &err);
	if (ret == 0)
		ret = audit_log_find_both(name, path, &policy, &err);
	if (ret == 0)
		ret = audit_log_read(path, NULL, look_for, &question, &err);
	if (ret == 0 && !question.found)
		ret = question.sequence
			      ? err_set(&err, ENOENT,
					"%s: line %s is no decision: see 'cordon audit %s'", name,
					argv[2], name)
			      : err_set(&err, ENOENT, "%s: nothing was denied", name);
	if (ret == 0 && policy)
		print_why(policy, &question);
	else if (ret == 0)
		print_without_policy(&question);
	json_decref(question.found);
	policy_free(policy);
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}
