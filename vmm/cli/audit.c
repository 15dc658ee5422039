/* SPDX-License-Identifier: Apache-2.0 */
/* cordon audit: show what was decided in a sandbox, and check its log. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/audit_log.h"
#include "vmm/cli/audit_print.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"
#include "vmm/control/record.h"
#include "vmm/policy/audit_sign.h"

struct audit_options {
	const char *class, *verdict;
	bool follow, json, verify, head, last;
	const char *public; /* the public key's file, or NULL */
};

static const char *const classes[] = {"file", "net", "exec", "process", NULL};
static const char *const verdicts[] = {"allow", "deny", "hide", NULL};

static const struct option_entry entries[] = {
	{"follow", 'f', OPTION_FLAG, NULL, "print new lines until the sandbox has ended",
	 .offset = offsetof(struct audit_options, follow)},
	{"class", 0, OPTION_CHOICE, "CLASS", "show only this class: file, net, exec or process",
	 .offset = offsetof(struct audit_options, class), .choices = classes},
	{"verdict", 0, OPTION_CHOICE, "VERDICT", "show only this verdict: allow, deny or hide",
	 .offset = offsetof(struct audit_options, verdict), .choices = verdicts},
	{"json", 0, OPTION_FLAG, NULL, "print the lines as they are in the log",
	 .offset = offsetof(struct audit_options, json)},
	{"verify", 0, OPTION_FLAG, NULL, "check that no line was changed or removed",
	 .offset = offsetof(struct audit_options, verify)},
	{"pubkey", 0, OPTION_STRING, "FILE",
	 "with --verify: check that the log's end was signed with this key",
	 "The key is the public one of the key that `--sign` was given.",
	 .offset = offsetof(struct audit_options, public)},
	{"head", 0, OPTION_FLAG, NULL,
	 "check the log; print number and hash of the last line of each chain",
	 .offset = offsetof(struct audit_options, head)},
	{"last", 0, OPTION_FLAG, NULL, "the log of the last `cordon run`",
	 .offset = offsetof(struct audit_options, last)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

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
static int parse(int argc, char **argv, struct audit_options *options, struct record_info *last,
		 const char **name, struct err *err)
{
	const struct option_set set = {&table, options};
	static const struct verb_words words = {.verb = &verb_audit, .most = 1};
	int count = verb_words(&words, &set, 1, argc, argv, err);

	if (count < 0)
		return count;
	*name = count > 0 ? argv[1] : NULL;
	if (!*name && !options->last)
		return verb_usage_error(&verb_audit, NULL, "of which sandbox?", err);
	if (*name && options->last)
		return verb_usage_error(&verb_audit, NULL, "either NAME or --last", err);
	if (options->public && !options->verify)
		return err_set(err, EINVAL, "audit: --pubkey is for --verify");
	if (options->follow && *name && strchr(*name, '/'))
		return err_set(err, EINVAL, "audit: --follow is for a sandbox that runs");
	if (!options->last)
		return 0;
	*name = last->id;
	return record_last_run(last, err);
}

static int run(int argc, char **argv, struct err *err)
{
	static struct audit_options options;
	static struct record_info last;
	const char *name;
	char path[PATH_MAX];
	int ret = parse(argc, argv, &options, &last, &name, err);

	if (ret == 0)
		ret = audit_log_find(name, path, err);
	if (ret < 0)
		return ret;
	if (options.verify || options.head)
		return verify(&options, path, err);
	return audit_log_read(path, options.follow ? name : NULL, show_entry, &options, err);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_audit = {
	.name = "audit",
	.group = VERB_POLICY,
	.usage = "[options] NAME|--last",
	.summary = "show what was decided in a sandbox, and check its log",
	.description = "NAME is a sandbox, also one that has ended (NAME or NAME~N, see `cordon ps "
		       "-a`), or "
		       "the path of a log, with a slash in it. `--last` is the last `cordon run`.",
	.options = tables,
	.see_also = "why policy",
	.run = run,
};
