/* SPDX-License-Identifier: Apache-2.0 */
/* Options that describe a sandbox; run, start and restore share them. */
#ifndef CORDON_LAUNCH_SANDBOX_OPTIONS_H
#define CORDON_LAUNCH_SANDBOX_OPTIONS_H

#include <limits.h>

#include "vmm/launch/policy_options.h"
#include "vmm/launch/rootfs.h"
#include "vmm/sandbox/sandbox.h"

/* Options of run, start and restore have one of these as their first member. */
struct sandbox_options {
	struct sandbox_config sandbox;
	struct policy_options policy_options;
	struct policy *policy; /* from sandbox_options_finish(); policy_free() is the caller's */
	struct audit_key *key; /* of --sign, from then on too; the function that opens the log takes
				  ownership */
	char key_path[PATH_MAX]; /* its path, without links; "": none */
	uint64_t memory;	 /* of --memory; 0: not given */
	uint64_t cpu_millis;	 /* of --cpus; 0: not given */
	bool console;
	const char *net;    /* as given, or NULL */
	const char *rootfs; /* as given, or NULL */
	json_t *settings;   /* of the image that is the root file system, or NULL */
	char kernel[PATH_MAX], initrd[PATH_MAX]; /* found files, if none were given */
};

/*
 * Their values go into a struct sandbox_options. restore has only root_option_table and
 * isolation_option_table: a snapshot contains size and guest.
 */
extern const struct option_table root_option_table, size_option_table, isolation_option_table,
	guest_option_table;

/* Memory and processors alone: what a template is made for. */
extern const struct option_table template_size_table;

/* Sets the defaults. */
void sandbox_options_init(struct sandbox_options *options);

/* Parses "BYTES[:COUNT]" a second. 0 or -errno with a message. */
int sandbox_options_rate(const char *value, uint64_t *bytes, uint64_t *count, struct err *err);

/*
 * Finds the guest's kernel and initramfs where none were given, loads the policy and applies its
 * limits. agent: the guest must run our agent.
 */
int sandbox_options_finish(struct sandbox_options *options, bool agent, struct err *err);

/* Resolves --rootfs and fills in the image's settings. Called before sandbox_options_finish(). */
int sandbox_options_rootfs(struct sandbox_options *options, struct err *err);

/* The part of sandbox_options_finish() about the policy, for a sandbox from a snapshot. */
int sandbox_options_policy(struct sandbox_options *options, struct err *err);

#endif
