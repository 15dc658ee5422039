/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as the command line names them: a file's path, or a preset. */
#ifndef CORDON_LAUNCH_POLICY_FILE_H
#define CORDON_LAUNCH_POLICY_FILE_H

#include "vmm/launch/options.h"
#include "vmm/policy/policy.h"

/* What the command line says of a policy. Zeroed: the preset "locked", nothing else. */
struct policy_options {
	/*
	 * Files, or names of presets ("./locked" is a file), or "-"; several are one policy, see
	 * struct policy_source. None: locked.
	 */
	const char *policy[POLICY_PARTS_MAX];
	size_t policies;
	const char *allow_net[POLICY_NETS_MAX]; /* --allow-net */
	size_t allow_nets;
	const char *audit; /* where the audit log goes; NULL: where the verb has it */
	const char *sign;  /* the key that signs it, or NULL */
	struct policy_share share[POLICY_SHARES_MAX]; /* --share */
	const char *share_path[POLICY_SHARES_MAX];    /* its HOST as it was given, links and all */
	size_t shares;
	bool allow_home; /* shares may reach as far as they like: see share_check.h */
	bool rootfs;	 /* the root file system is served by the host */
	bool lenient;	 /* see struct policy_source */
};

/* --policy and --allow-net, for a struct policy_options. */
extern const struct cli_option policy_option_table[];
extern const size_t policy_option_count;

/* Adds a file or preset. 0 or -errno with a message. */
int policy_add_file(struct policy_options *options, const char *name, struct err *err);

/*
 * Adds a share: HOST:GUEST[:ro][:uid=N][:gid=N]. The command line is read once, so what is
 * allocated for it stays. 0 or -errno with a message.
 */
int policy_add_share(struct policy_options *options, const char *text, struct err *err);

/* Reads, parses and checks. 0 or -errno with a message. */
int policy_load(struct policy **policy, const struct policy_options *options, struct err *err);

/*
 * Refuses a path that a sandbox under the policy could reach through a writable share. Links and
 * mounts on the way there make no difference. what: "the audit log". 0 or -errno with a message.
 */
int policy_check_outside(const struct policy *policy, const char *path, const char *what,
			 struct err *err);

/* The same for the audit log (NULL: none), and for the directories of records and of running
 * sandboxes, in which a share must not be either. */
int policy_check_places(const struct policy *policy, const char *audit, struct err *err);

/*
 * The size of a sandbox: a limit of the policy is the most that an option may ask for, and what
 * holds where no option says anything. *value: what the option says, or the default; given: an
 * option said it. limit 0: none. text: "--memory 512M: the policy allows" comes of "--memory".
 */
int policy_apply_limit(const struct policy *policy, const char *option, unsigned index,
		       uint64_t limit, bool given, uint64_t *value, struct err *err);

/* What index policy_apply_limit() wants: the order of struct policy_limits. */
enum { LIMIT_CPUS, LIMIT_MEMORY, LIMIT_PROCESSES, LIMIT_DISK, LIMIT_WALL, LIMIT_IDLE };

#endif
