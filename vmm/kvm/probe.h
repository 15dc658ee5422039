/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of host this is: whether /dev/kvm can run a sandbox, and how it runs guest ring 0.
 *
 * The kind is found by running a few instructions in a throwaway VM of one page, because nothing
 * else tells it: a kernel that emulates guest ring 0 answers every KVM ioctl as a real one does,
 * and /proc/cpuinfo says nothing certain inside a virtual machine. docs/hosts.md explains the
 * kinds.
 */
#ifndef CORDON_KVM_PROBE_H
#define CORDON_KVM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/err.h"

enum host_kind {
	HOST_NONE,	     /* no sandbox can run here */
	HOST_HARDWARE,	     /* the processor runs the guest, ring 0 and ring 3 */
	HOST_RING0_EMULATED, /* ring 3 runs on the processor, ring 0 is emulated */
};

/* Why a host is HOST_NONE. */
enum host_obstacle {
	HOST_OBSTACLE_NONE,
	HOST_OBSTACLE_NO_DEVICE, /* no /dev/kvm, or no driver behind it */
	HOST_OBSTACLE_NO_PERMISSION,
	HOST_OBSTACLE_API_VERSION, /* not a KVM whose API is 12 */
	HOST_OBSTACLE_CAPABILITY,  /* something that Cordon needs is missing */
	HOST_OBSTACLE_BROKEN, /* everything is there but the probe's instructions did not run */
};

/* A KVM extension (KVM_CHECK_EXTENSION). */
struct host_capability {
	const char *name;    /* as in linux/kvm.h, without KVM_CAP_ */
	const char *purpose; /* what Cordon does with it, a few words */
	bool required;
	int value;   /* what the host answers; 0: not there */
	int minimum; /* it counts as there from this value on */
};

#define HOST_CAPABILITIES_MAX 32

/* Everything that `cordon doctor` shows about KVM. */
struct host_report {
	enum host_kind kind;
	enum host_obstacle obstacle;
	struct err reason; /* for HOST_NONE: what is wrong and what to do */
	bool opened;	   /* /dev/kvm could be opened */
	int api_version;   /* 0 if unknown */
	struct host_capability capability[HOST_CAPABILITIES_MAX];
	unsigned capabilities;
};

/*
 * Opens /dev/kvm (close on exec), checks the API version and the required capabilities. *fd is -1
 * after an error. 0 or -errno with a message that says what to do: -ENOENT, -ENODEV (no driver),
 * -EACCES, -EPROTO (API version), -ENOTSUP (capability).
 */
int host_open_kvm(int *fd, struct err *err);

/*
 * Runs the probe: *out says whether guest ring 0 is emulated. About 0.5 ms. 0 or -errno with a
 * message (-EIO: the instructions neither ran nor failed in a known way).
 */
int host_is_ring0_emulated(int kvm_fd, bool *out, struct err *err);

/* Fills the report; what is wrong with the host goes there and is not an error. */
void host_probe(struct host_report *out);

/*
 * How long KVM_CREATE_VM takes, in nanoseconds, each of count times. 0 or -errno with a message.
 */
int host_time_create_vm(int kvm_fd, unsigned count, unsigned long *ns, struct err *err);

const char *host_kind_name(enum host_kind kind);

#endif
