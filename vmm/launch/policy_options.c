/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/policy_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/blk/sizes.h"
#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/machine/machine.h"
#include "vmm/sandbox/root.h"

/* --- policies --------------------------------------------------------------------------------- */

int policy_add_file(struct policy_options *options, const char *name, struct err *err)
{
	size_t i;

	if (options->policies == POLICY_PARTS_MAX)
		return err_set(err, EINVAL, "more than %d policies", POLICY_PARTS_MAX);
	for (i = 0; i < options->policies; i++)
		if (strcmp(name, "-") == 0 && strcmp(options->policy[i], "-") == 0)
			return err_set(err, EINVAL,
				       "--policy -: standard input can be read once only");
	options->policy[options->policies++] = name;
	return 0;
}

static int set_policy(void *arg, const char *value, struct err *err)
{
	return policy_add_file(arg, value, err);
}

static const struct option_entry policy_entries[] = {
	{"policy", 0, OPTION_CALL, "FILE",
	 "policy: a file, a preset, or - for stdin; may be given several times",
	 "The policy says what the sandbox may do: see cordon-policy(5). The presets are `locked` "
	 "(nothing of the host), `workspace` (the current directory; its secrets are hidden, and "
	 "what the host would run or trust is read-only), `agent` (the same, with limits and a "
	 "network whose connections an operator approves) and `open` (the current directory).\n\n"
	 "The policy's limits bound the other options. Several files are one policy, with their "
	 "rules in the order given and the lowest value of each limit.",
	 .set = set_policy},
	{"allow-net", 0, OPTION_LIST, "[PROTOCOL/]NAME:PORT",
	 "allow connections to NAME:PORT (tls for port 443, else tcp); may be repeated",
	 "Needs no `--policy`, except with `cordon fork`. PROTOCOL names another protocol. The "
	 "option overrides `ask` rules of the policy, but no `deny` rule.",
	 .offset = offsetof(struct policy_options, allow_net),
	 .count_offset = offsetof(struct policy_options, allow_nets), .high = POLICY_NETS_MAX},
};

const struct option_table policy_option_table = {"Policy", policy_entries,
						 ARRAY_SIZE(policy_entries)};

/* --- the audit log ---------------------------------------------------------------------------- */

static const struct option_entry audit_entries[] = {
	{"audit", 0, OPTION_STRING, "FILE", "write the audit log to FILE, where it stays",
	 "What was allowed goes to FILE, denials and what operators did to FILE.denials. Without "
	 "the option the log is in the sandbox's record.",
	 .offset = offsetof(struct policy_options, audit)},
	{"sign", 0, OPTION_STRING, "KEY", "sign the end of the audit log (OpenSSH Ed25519 key)",
	 "KEY must have no passphrase, be readable by its owner alone, and be in no share. "
	 "`cordon audit --verify --pubkey` checks the signature.",
	 .offset = offsetof(struct policy_options, sign)},
};

const struct option_table audit_option_table = {"Audit log", audit_entries,
						ARRAY_SIZE(audit_entries)};

/* --- shares ----------------------------------------------------------------------------------- */

/* text: the whole argument, since several shares may be given. */
static int share_suffix(struct policy_share *share, const char *suffix, const char *text,
			struct err *err)
{
	struct err why;
	size_t at;

	if (strcmp(suffix, "rw") == 0)
		return share->read_only ? err_set(err, EINVAL, "'%.200s': either ro or rw", text)
					: 0;
	if (policy_share_option(share, suffix, &at, &why) < 0)
		return err_set(err, EINVAL, "'%.200s': %s", text, why.text);
	return 0;
}

/* The directory of the host that a share names, in words for users of volumes and of mounted files.
 */
static int share_directory(const char *path, const char **directory, struct err *err)
{
	char *real = realpath(path, NULL);
	struct stat status;

	if (!real && errno == ENOENT && !strchr(path, '/'))
		return err_set(
			err, ENOENT,
			"%s: no such directory here; a share is a directory of the host, not "
			"a volume with a name",
			path);
	if (!real)
		return err_sys(err, "%s", path);
	if (stat(real, &status) == 0 && S_ISREG(status.st_mode)) {
		free(real);
		return err_set(err, ENOTDIR,
			       "%s: not a directory: share the one above it, or copy the file with "
			       "'cordon cp'",
			       path);
	}
	*directory = real;
	return 0;
}

int policy_add_share(struct policy_options *options, const char *text, struct err *err)
{
	struct policy_share share = {.uid = -1, .gid = -1};
	char *copy = strdup(text), *guest, *suffix, *rest = NULL;
	int ret = 0;

	if (!copy)
		return err_set(err, ENOMEM, "out of memory");
	guest = strstr(copy, ":/");
	if (!guest || guest == copy)
		ret = err_set(err, EINVAL,
			      "'%s': give HOST:GUEST, a directory of the host and an absolute path",
			      text);
	else if (options->shares == POLICY_SHARES_MAX)
		ret = err_set(err, EINVAL, "more than %d shares", POLICY_SHARES_MAX);
	if (ret < 0) {
		free(copy);
		return ret;
	}
	*guest++ = '\0';
	share.guest = strtok_r(guest, ":", &rest);
	while (ret == 0 && (suffix = strtok_r(NULL, ":", &rest)))
		ret = share_suffix(&share, suffix, text, err);
	if (ret == 0)
		ret = share_directory(copy, &share.host, err);
	if (ret < 0) {
		free(copy);
		return ret;
	}
	options->share_path[options->shares] = copy;
	options->share[options->shares++] = share;
	return 0;
}

static int set_share(void *arg, const char *value, struct err *err)
{
	return policy_add_share(arg, value, err);
}

/* "type=bind,source=HOST,target=GUEST,readonly", with the other names that these keys have. */
static int set_mount(void *arg, const char *value, struct err *err)
{
	char *copy = strdup(value), *rest = NULL, *word, *host = NULL, *guest = NULL, *share = NULL;
	bool bind = false, read_only = false;
	int ret = 0;

	for (word = copy ? strtok_r(copy, ",", &rest) : NULL; word && ret == 0;
	     word = strtok_r(NULL, ",", &rest)) {
		if (strcmp(word, "type=bind") == 0)
			bind = true;
		else if (strncmp(word, "source=", 7) == 0 || strncmp(word, "src=", 4) == 0)
			host = strchr(word, '=') + 1;
		else if (strncmp(word, "target=", 7) == 0 || strncmp(word, "dst=", 4) == 0 ||
			 strncmp(word, "destination=", 12) == 0)
			guest = strchr(word, '=') + 1;
		else if (strcmp(word, "readonly") == 0 || strcmp(word, "ro") == 0)
			read_only = true;
		else
			ret = err_set(err, EINVAL, "'%.60s' has no counterpart: see --share", word);
	}
	if (ret == 0 && (!bind || !host || !guest))
		ret = err_set(err, EINVAL, "'%.200s': type=bind, a source and a target are needed",
			      value);
	if (ret == 0 && asprintf(&share, "%s:%s%s", host, guest, read_only ? ":ro" : "") < 0)
		ret = err_set(err, ENOMEM, "out of memory");
	if (ret == 0)
		ret = policy_add_share(arg, share, err);
	free(share);
	free(copy);
	return ret;
}

static const struct option_entry share_entries[] = {
	{"share", 0, OPTION_CALL, "HOST:GUEST",
	 "share directory HOST as GUEST; :ro, :uid=N, :gid=N, :owner=host and :cache=HOW may "
	 "follow",
	 "The sandbox sees the directory HOST of the host at the absolute path GUEST. With `:ro` "
	 "it can change nothing there. The user who runs cordon appears as sandbox root, or as "
	 "user or group N. Owners and set-id bits that sandbox root asks for are remembered and "
	 "shown to the sandbox (`:owner=map`); with `:owner=host` it sees the host's, and asking "
	 "for others fails. With `:cache=strict` changes of the host show at the next use of a "
	 "path; with `:cache=loose`, the default with `:ro`, what was read once is kept; with "
	 "`:cache=none` nothing is. Each option may be given once. Rules of the policy come before "
	 "the one that the "
	 "option adds, which allows everything in the share (with `:ro`: reading). May be given "
	 "several times.",
	 .set = set_share},
	{"volume", 'v', OPTION_CALL, "HOST:GUEST", "the same as --share", .set = set_share},
	{"mount", 0, OPTION_CALL, "type=bind,source=HOST,target=GUEST[,readonly]",
	 "the same, in words", .set = set_mount},
};

const struct option_table share_option_table = {"Shares", share_entries, ARRAY_SIZE(share_entries)};

/* --- limits ----------------------------------------------------------------------------------- */

int policy_check_sizes(const struct policy *policy, struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);

	if (limits->memory > 0 && limits->memory < MACHINE_MEMORY_MIN)
		return err_set(err, EINVAL, "%s:%u: memory=: a sandbox has at least %lluM",
			       limits->file[POLICY_LIMIT_MEMORY], limits->line[POLICY_LIMIT_MEMORY],
			       (unsigned long long)(MACHINE_MEMORY_MIN >> 20));
	if (limits->disk > 0 && (limits->disk < ROOT_DISK_MIN || limits->disk > DISK_BYTES_MAX))
		return err_set(err, EINVAL, "%s:%u: disk=: a disk has 1M to 4T, not %llu bytes",
			       limits->file[POLICY_LIMIT_DISK], limits->line[POLICY_LIMIT_DISK],
			       (unsigned long long)limits->disk);
	return 0;
}

int policy_apply_limit(const struct policy *policy, const char *option, enum policy_limit which,
		       bool given, uint64_t *value, struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);
	uint64_t limit = policy_limit_value(limits, which);

	if (limit && given && (*value > limit || *value == 0))
		return err_set(err, EINVAL, "%s exceeds what the policy allows (%s:%u)", option,
			       limits->file[which], limits->line[which]);
	if (limit && !given)
		*value = limit;
	return 0;
}
