/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox, from creation to an agent that takes commands: restored from a template if there is
 * one; else booted, and then saved as the template for the next one.
 */
#ifndef CORDON_SANDBOX_SANDBOX_H
#define CORDON_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/sandbox/boot_watch.h"
#include "vmm/sandbox/host_clock.h"
#include "vmm/machine/machine.h"
#include "vmm/sandbox/denials.h"
#include "vmm/sandbox/limits.h"
#include "vmm/sandbox/network.h"
#include "vmm/sandbox/programs.h"
#include "vmm/sandbox/proposals.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/shares.h"
#include "vmm/sandbox/publish_vsock.h"
#include "vmm/sandbox/root.h"
#include "vmm/sandbox/startup.h"
#include "vmm/sandbox/system_calls.h"
#include "vmm/sandbox/template.h"
#include "vmm/policy/guard.h"

struct sandbox_config {
	struct machine_config machine; /* agent false: the user's own guest */
	bool cold;		       /* boot; neither use nor make a template */
	const char *snapshot;	       /* path of one to restore, or NULL */
	bool verify;		       /* first check the checksums of all memory in the snapshot */
	const char *hostname;	       /* of the guest; NULL: leave it */
	struct guard *guard;	       /* the caller's: policy and shares; or NULL */
	uint64_t cpu_millis; /* what the commands may use, beside the policy's limit; 0: all */
	struct network_config network;
	struct publish_vsock_config sockets;
	struct root_config root; /* zeros: the initramfs alone; for a snapshot: its image */
	const struct share_directory
		*directories; /* for a fork: those of its parent, the only ones allowed; or NULL */
	unsigned directory_count;
	bool trusted_image;	   /* Cordon wrote the snapshot: use the image that it names */
	struct snapshot_stop stop; /* for a restore, which may take long */
	const char *on_ask;	   /* the command of --on-ask, or NULL */
	struct launcher *launcher; /* the caller's, which has that command */
};

struct sandbox_ops {
	/* Commands can be started. Called once. */
	void (*ready)(void *arg);
	/* The machine has ended, or its agent never connected; see machine.end and end_message. */
	void (*ended)(void *arg);
};

struct sandbox {
	struct sandbox_config config;
	const struct sandbox_ops *ops;
	void *arg;
	struct machine machine;
	struct template template; /* path "": neither use nor make one */
	struct snapshot snapshot; /* open while the machine is built from it */
	bool restored;		  /* from a template or a snapshot */
	bool is_ready;
	struct shares shares;
	struct approvals *questions; /* NULL without a guard */
	struct denials *denials;     /* NULL without a guard */
	struct proposals *proposals; /* NULL without a guard */
	struct programs *programs;   /* NULL without a guard */
	struct network network;
	struct limits limits;
	struct system_calls calls;
	uint32_t exec_wanted; /* AGENT_EXEC_*: what the agent was ever told to do */
	bool rules_known; /* the agent knows of exec rules what this version of the policy says */
	uint64_t rules_version;
	struct publish_vsock sockets;
	struct root root;
	struct host_clock clock; /* the guest's clock follows it */
	struct startup startup;
	bool template_due; /* save a template before the guest holds anything of the user's */
	struct agent_reply template_saved, ports_published; /* the replies for which steps wait */
	struct loop_timer boot_timer;
	struct boot_watch boot_watch;
};

/* 0, or -errno with a message; then nothing is left behind. */
int sandbox_create(struct sandbox *sandbox, struct loop *loop, const struct sandbox_config *config,
		   const struct sandbox_ops *ops, void *arg, struct err *err);

/* Starts the guest. From then on the loop is shared, as after machine_start(). */
int sandbox_start(struct sandbox *sandbox, struct err *err);

/*
 * Sets the guest's real-time clock; adds entropy to its random pool and renews its random numbers:
 * 0 or -errno, reply as in channel.h. Only once it is ready.
 */
void sandbox_set_time(struct sandbox *sandbox);
int sandbox_reseed(struct sandbox *sandbox, const struct agent_reply *reply);

/*
 * Requests what the agent must know of the policy in force before the next command, unless it
 * knows: limits, the filter of system calls, exec rules. It handles requests in order. Only once
 * the sandbox is ready; the machine ends if the agent can't.
 */
void sandbox_renew_rules(struct sandbox *sandbox);

/* Writes the paused guest, without a request under way, to a file; see snapshot_write(). */
int sandbox_save(struct sandbox *sandbox, int fd, struct err *err);

/* Stops and frees everything. Works on a half-built sandbox. */
void sandbox_destroy(struct sandbox *sandbox);

/*
 * Prints one line for the user that says how it ended; and the console's last lines if they help.
 */
void sandbox_print_end(struct sandbox *sandbox);

#endif
