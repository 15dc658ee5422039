/* SPDX-License-Identifier: Apache-2.0 */
/* Options for policies, shares and audit logs, for every verb that has one of them. */
#ifndef CORDON_LAUNCH_POLICY_OPTIONS_H
#define CORDON_LAUNCH_POLICY_OPTIONS_H

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

/* For a struct policy_options: --policy and --allow-net; --audit and --sign; --share. */
extern const struct option_table policy_option_table, audit_option_table, share_option_table;

/* Adds a file or preset. 0 or -errno with a message. */
int policy_add_file(struct policy_options *options, const char *name, struct err *err);

/*
 * Adds a share: HOST:GUEST and options as policy_share_option() takes them, each behind a ':', or
 * rw. Its memory is never freed: the command line is read once. 0 or -errno with a message.
 */
int policy_add_share(struct policy_options *options, const char *text, struct err *err);

/* Refuses limits of memory and disk that no sandbox can have. */
int policy_check_sizes(const struct policy *policy, struct err *err);

/*
 * Applies a limit of the policy to an option: the limit is the option's maximum, and its value
 * where the option is missing. *value: the option's value, or the default; given: the option was
 * given; option: "--memory", for messages.
 */
int policy_apply_limit(const struct policy *policy, const char *option, enum policy_limit which,
		       bool given, uint64_t *value, struct err *err);

#endif
