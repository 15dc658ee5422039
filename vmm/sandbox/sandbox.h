/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's way from nothing to an agent that takes commands: restored from a template where
 * there is one, else booted, and then a template is made of it for the next.
 */
#ifndef CORDON_SANDBOX_SANDBOX_H
#define CORDON_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/sandbox/host_clock.h"
#include "vmm/machine/machine.h"
#include "vmm/sandbox/network.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/shares.h"
#include "vmm/sandbox/publish_vsock.h"
#include "vmm/sandbox/root.h"
#include "vmm/sandbox/startup.h"
#include "vmm/sandbox/template.h"
#include "vmm/policy/guard.h"

struct sandbox_config {
	struct machine_config machine; /* agent: false stands for a guest of the user's own */
	bool cold;		       /* boot, and neither use nor make a template */
	const char *snapshot;	       /* path to go on from, or NULL */
	bool verify;		       /* read all of the snapshot's memory and check it first */
	const char *hostname;	       /* of the guest, or NULL: as it is */
	struct guard *guard;	       /* its policy, with the shares; or NULL. The caller's */
	struct network_config network;
	struct publish_vsock_config sockets;
	struct root_config root; /* zeros: the initramfs alone; of a snapshot: its image */
	const struct share_directory
		*directories; /* of a fork: its parent's, and no others; or NULL */
	unsigned directory_count;
	bool trusted_image;	   /* the snapshot is our own: the image that it names is taken */
	struct snapshot_stop stop; /* of a restore, which may take long */
	const char *on_ask;	   /* the command of --on-ask, or NULL */
};

struct sandbox_ops {
	/* Commands can be started. Once. */
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
	struct snapshot snapshot; /* open while the machine is made from it */
	bool restored;		  /* the guest has a life before this one */
	bool is_ready;
	struct shares shares;
	struct approvals *questions; /* there if there is a guard */
	struct network network;
	uint32_t limit;	  /* of processes, as last requested; 0: none */
	bool limit_known; /* the guest has that limit; else it may have that of a former life */
	struct publish_vsock sockets;
	struct root root;
	struct host_clock clock; /* the guest's follows it */
	struct startup startup;
	bool template_due; /* one is to be made before the guest holds anything of the user's */
	struct agent_reply template_saved, ports_published; /* to the steps that wait for these */
	struct loop_timer boot_timer;
	/* processor time: at the start, used since, that may be used; and time without any */
	uint64_t boot_cpu_ns, boot_used_ns, boot_max_ns, boot_idle_ns;
};

/* 0 or -errno with a message; nothing is left behind then. */
int sandbox_create(struct sandbox *sandbox, struct loop *loop, const struct sandbox_config *config,
		   const struct sandbox_ops *ops, void *arg, struct err *err);

/* Lets the guest go. As after machine_start(), the loop is then shared. */
int sandbox_start(struct sandbox *sandbox, struct err *err);

/* Makes the guest's real-time clock right; new entropy into its random pool. Once it is ready. */
void sandbox_set_time(struct sandbox *sandbox);
void sandbox_reseed(struct sandbox *sandbox);

/* How many processes the policy allows; 0: no limit. */
uint32_t sandbox_processes(struct sandbox *sandbox);

/*
 * Limits the sandbox's processes to another number (0: the agent's default), for commands that are
 * started from now on. Once it is ready; before that start-up sets the policy's limit. 0 or -errno
 * with a message.
 */
int sandbox_limit_processes(struct sandbox *sandbox, uint32_t processes,
			    const struct agent_reply *reply, struct err *err);

/* Writes the paused guest, of which no request is under way, to path; see snapshot_write(). */
int sandbox_save(struct sandbox *sandbox, const char *path, struct err *err);

/* Stops and frees all. Works on a half-made sandbox. */
void sandbox_destroy(struct sandbox *sandbox);

/* One line that says how it ended, for a person; with the console's last lines if they help. */
void sandbox_print_end(struct sandbox *sandbox);

#endif
