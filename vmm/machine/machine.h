/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine: memory, processors, devices and the agent channel put together, and its life from
 * creation to its end.
 *
 * machine_create() creates everything and loads the kernel, machine_start() starts the vCPUs, then
 * the owner runs the loop; ops->ended() reports the end. All functions are for the loop's thread
 * unless their comments say otherwise.
 */
#ifndef CORDON_MACHINE_H
#define CORDON_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/kvm/clock.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/console.h"
#include "vmm/machine/device.h"
#include "vmm/machine/snapshot.h"
#include "vmm/machine/timeline.h"

#define MACHINE_MEMORY_DEFAULT MIB(256)
#define MACHINE_MEMORY_MIN     MIB(64)

struct machine_config {
	uint64_t memory; /* bytes of guest RAM, a multiple of 2 MiB */
	unsigned cpus;
	struct machine_queues queues; /* of its devices; 0: 1; `fs` is always one a vCPU */
	const char *kernel;	      /* path */
	const char *initrd;	      /* path or NULL */
	const char *cmdline_append;   /* or NULL */
	const char *vsock_path;	      /* Unix socket for host programs, or NULL */
	int console_fd;		      /* where the guest's console is shown, or -1 */
	bool console_exact;	      /* byte for byte, even on a terminal */
	bool agent;		      /* expect Cordon's agent in the guest */
	bool isolate; /* share no page frame of guest memory and no core with others */
	const struct snapshot *restore; /* restore this instead of booting, or NULL */
	bool trusted; /* Cordon wrote `restore` on this host: do not probe the host again */
	/* For a restore: the owner restores the vsock device's connections; else all end. */
	bool keep_connections;
	/*
	 * For a restore of a snapshot whose disk holds an image: the image's path, or NULL. The
	 * path in the snapshot is used only if trusted_image is set.
	 */
	const char *image;
	bool trusted_image;
	struct disk *cached;	   /* instead of a path: an image of the cache, or NULL */
	struct snapshot_stop stop; /* for a restore, which may take long */
};

enum machine_end {
	MACHINE_RUNNING,
	MACHINE_POWER_OFF, /* the guest powered itself off */
	MACHINE_RESET,	   /* the guest reset itself */
	MACHINE_PANIC,	   /* the guest's kernel panicked, as its console shows */
	MACHINE_TRIPLE_FAULT,
	MACHINE_HALTED,	    /* all processors halted with interrupts off */
	MACHINE_AGENT_LOST, /* the agent died or broke the protocol */
	/* the owner could not set the guest up; the message says in which step, and why */
	MACHINE_SETUP_FAILED,
	MACHINE_ERROR, /* KVM failed; the message says how */
};

struct machine_ops {
	/* The agent has connected and speaks our protocol. Called for each of its connections. */
	void (*agent_ready)(void *arg);
	/* The machine has ended; machine->end and machine->end_message say how. */
	void (*ended)(void *arg);
	/* As those of struct agent_channel_hooks; NULL: proposals are dropped. */
	void (*proposed)(void *arg, uint32_t number, const char *rule, size_t rule_length,
			 const char *reason, size_t reason_length);
	void (*withdrawn)(void *arg, uint32_t number);
	/* As those of struct agent_channel_hooks; NULL: everything is denied. */
	void (*checked)(void *arg, const struct agent_check *check);
	void (*gone)(void *arg, uint32_t number);
	void (*happened)(void *arg, const struct agent_event *event);
};

struct machine {
	struct machine_config config;
	struct loop *loop;
	const struct machine_ops *ops;
	void *ops_arg;

	struct guest_memory memory;
	struct vm vm;
	struct vcpu vcpu[VM_CPUS_MAX];
	unsigned vcpus; /* created so far */
	struct machine_devices devices;
	struct console console;
	struct agent_channel *channel;
	struct vsock_stream *agent_stream;
	bool restored;
	/*
	 * Until then a restored guest's agent may lose its connection; 0 from the first command on.
	 */
	uint64_t settled_ns;
	bool starting; /* the owner gives up a guest without an agent */
	struct err lost_message;
	bool power_announced; /* the agent has announced the guest's end, and goes first */
	struct timeline timeline;

	enum machine_end end;
	struct err end_message;
	struct loop_task end_task, pause_task;
	struct loop_timer halt_timer, lost_timer;

	bool pausing;	 /* between machine_pause() and machine_resume() */
	unsigned paused; /* vCPUs that have left the guest since, one bit each */
	void (*pause_done)(void *arg);
	void *pause_arg;
	struct guest_clock clock;
};

/* 0, or -errno with a message; then nothing is left behind. */
int machine_create(struct machine *machine, struct loop *loop, const struct machine_config *config,
		   const struct machine_ops *ops, void *arg, struct err *err);

/*
 * Starts the vCPUs. Until machine_stop() their threads use the loop and the devices too: outside of
 * the loop's callbacks the owner may touch either only under the device lock.
 */
int machine_start(struct machine *machine, struct err *err);

/*
 * Makes all vCPUs leave the guest. done is called from the loop once they have, unless the machine
 * ends first. 0, or -EBUSY if the machine is pausing, paused or has ended.
 */
int machine_pause(struct machine *machine, void (*done)(void *arg), void *arg);
void machine_resume(struct machine *machine);

/*
 * Of a paused machine: stops the guest's clocks, and lets them go on as if no time had passed (see
 * vmm/kvm/clock.h). 0 or -errno with a message.
 */
int machine_stop_clock(struct machine *machine, struct err *err);
int machine_continue_clock(struct machine *machine, struct err *err);

/*
 * Ends the machine. The first end counts; the loop reports it to the owner. From any thread that
 * holds the device lock.
 */
void machine_finish(struct machine *machine, enum machine_end end, const char *message);

/*
 * One line for the user: what happened. After a panic and the like the caller also shows the
 * console.
 */
const char *machine_end_text(enum machine_end end);

/* Stops the vCPUs for good and waits for their threads. Not from inside a callback of the loop. */
void machine_stop(struct machine *machine);

/* Calls machine_stop() and frees everything. Works on a half-built machine. */
void machine_destroy(struct machine *machine);

/*
 * For -v: prints time line, exits, the assist's counts and devices to stderr. After machine_stop().
 */
void machine_report(struct machine *machine);

#endif
