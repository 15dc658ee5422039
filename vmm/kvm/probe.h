/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host probe: whether /dev/kvm can run a sandbox, and how it runs guest ring 0.
 *
 * The probe runs a few instructions in a throwaway VM of one page. Nothing else is reliable: a
 * kernel that emulates guest ring 0 gives the same results for every KVM ioctl as one with hardware
 * virtualization, and /proc/cpuinfo proves nothing inside a virtual machine. docs/hosts.md explains
 * the kinds of host.
 */
#ifndef CORDON_KVM_PROBE_H
#define CORDON_KVM_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "vmm/base/err.h"

enum host_kind {
	HOST_NONE,	     /* no sandbox can run here */
	HOST_HARDWARE,	     /* the processor runs the guest, ring 0 and ring 3 */
	HOST_RING0_EMULATED, /* ring 3 runs on the processor, ring 0 is emulated */
};

/* The reason for HOST_NONE. */
enum host_obstacle {
	HOST_OBSTACLE_NONE,
	HOST_OBSTACLE_NO_DEVICE, /* no /dev/kvm, or no driver for it */
	HOST_OBSTACLE_NO_PERMISSION,
	HOST_OBSTACLE_API_VERSION, /* the API version is not 12 */
	HOST_OBSTACLE_CAPABILITY,  /* a required capability is missing */
	HOST_OBSTACLE_BROKEN,	   /* the probe's instructions did not run */
};

/* A KVM extension (KVM_CHECK_EXTENSION). */
struct host_capability {
	const char *name;    /* as in linux/kvm.h, without KVM_CAP_ */
	const char *purpose; /* what Cordon uses it for, a few words */
	bool required;
	int value;   /* the host's value; 0: unsupported */
	int minimum; /* the least value that counts as supported */
};

#define HOST_CAPABILITIES_MAX 32

/* What `cordon doctor` shows about KVM. */
struct host_report {
	enum host_kind kind;
	enum host_obstacle obstacle;
	struct err reason; /* for HOST_NONE: what is wrong and how to fix it */
	bool opened;	   /* /dev/kvm was opened */
	int api_version;   /* 0 if unknown */
	struct host_capability capability[HOST_CAPABILITIES_MAX];
	unsigned capabilities;
};

/*
 * Opens /dev/kvm (close on exec) and checks the API version and the required capabilities. *fd is
 * -1 after an error. 0 or -errno with a message that says how to fix it: -ENOENT, -ENODEV (no
 * driver), -EACCES, -EPROTO (API version), -ENOTSUP (capability).
 */
int host_open_kvm(int *fd, struct err *err);

/*
 * Runs the probe in a VM of its own: *out tells whether guest ring 0 is emulated. Takes about 0.7
 * ms. 0 or -errno with a message (-EIO: the instructions neither ran nor failed in a known way).
 */
int host_is_ring0_emulated(int kvm_fd, bool *out, struct err *err);

#define HOST_PROBE_BYTES 64

struct kvm_run;

/*
 * The same in a vCPU of the caller that has not run yet, with HOST_PROBE_BYTES of its memory, at
 * guest-physical address below 4 GiB: far cheaper than another VM. The memory is zero afterwards;
 * the caller sets all registers anew. KVM refuses to change the vCPU's CPUID after that.
 */
int host_probe_vcpu(int vcpu_fd, struct kvm_run *run, void *code, uint32_t address, bool *out,
		    struct err *err);

/*
 * Whether the processor shows neither VMX nor SVM: KVM then most likely emulates guest ring 0. A
 * first guess; the probe decides.
 */
bool host_lacks_virtualization(void);

/* Fills in the report, problems of the host included; does not fail. */
void host_probe(struct host_report *out);

/* Measures KVM_CREATE_VM count times, into ns[], in nanoseconds. 0 or -errno with a message. */
int host_time_create_vm(int kvm_fd, unsigned count, unsigned long *ns, struct err *err);

const char *host_kind_name(enum host_kind kind);

#endif
