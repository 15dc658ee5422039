/* SPDX-License-Identifier: Apache-2.0 */
/* cordon audit: show what was decided in a sandbox, and check its log. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/audit_print.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/print.h"
#include "vmm/control/record.h"
#include "vmm/policy/audit_sign.h"

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
		audit_print_entry(&entry, json);
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
