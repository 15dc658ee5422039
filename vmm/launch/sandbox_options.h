/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say what a sandbox is made of: those that run and start share. */
#ifndef CORDON_LAUNCH_SANDBOX_OPTIONS_H
#define CORDON_LAUNCH_SANDBOX_OPTIONS_H

#include <limits.h>

#include "vmm/launch/policy_options.h"
#include "vmm/launch/rootfs.h"
#include "vmm/sandbox/sandbox.h"

/*
 * Every struct that these options are parsed into begins with this one.
 */
struct sandbox_options {
	struct sandbox_config sandbox;
	struct policy_options policy_options;
	struct policy *policy; /* from sandbox_options_finish(); policy_free() is the caller's */
	struct audit_key *key; /* --sign's, from then on too; who opens the log takes it */
	uint64_t memory;       /* of --memory; 0: not given */
	unsigned cpus;	       /* of --cpus; 0: not given */
	bool console;
	const char *net;    /* as given, or NULL */
	const char *rootfs; /* as given, or NULL */
	json_t *settings;   /* of the image that is the root file system, or NULL */
	char kernel[PATH_MAX], initrd[PATH_MAX]; /* found files, if none were given */
};

/*
 * Their values go into a struct sandbox_options. Of the guest's own only a new one has a choice: a
 * snapshot brings size and guest with it.
 */
extern const struct option_table root_option_table, size_option_table, guest_option_table;

/* Defaults. */
void sandbox_options_init(struct sandbox_options *options);

/* "BYTES[:COUNT]", a second. 0 or -errno with a message. */
int sandbox_options_rate(const char *value, uint64_t *bytes, uint64_t *count, struct err *err);

/*
 * Finds the guest's files where none were given, reads the policy, and lets it limit the size.
 * agent: the guest must have our agent.
 */
int sandbox_options_finish(struct sandbox_options *options, bool agent, struct err *err);

/* Finds the root file system; an image's settings are there then. Before finish. */
int sandbox_options_rootfs(struct sandbox_options *options, struct err *err);

/* Only what there is of it about the policy: for a sandbox that is made from a snapshot. */
int sandbox_options_policy(struct sandbox_options *options, struct err *err);

#endif
