/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's root file system, where it is not the initramfs alone: the disks that it takes, and
 * the request to the agent that has the root built from them.
 *
 * The disks are made before the machine, so that an error in them is reported before anything runs.
 * They are put into the machine, and the request is sent, once the agent is ready: a template has
 * none of it.
 */
#ifndef CORDON_SANDBOX_ROOT_H
#define CORDON_SANDBOX_ROOT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/agent/channel.h"
#include "vmm/base/err.h"
#include "vmm/files/files.h"
#include "vmm/image/cache.h"
#include "vmm/machine/device.h"

/* What a private layer over an image may take on the host's disk by default. */
#define ROOT_LAYER_DEFAULT (UINT64_C(2) << 30)
#define ROOT_DISK_MIN	   (UINT64_C(1) << 20)

struct root_config {
	char image[PATH_MAX];		    /* absolute; "": none */
	char type[AGENT_ROOT_TYPE_MAX + 1]; /* of its file system; "": look at the image */
	/*
	 * Instead of an image: a directory (absolute), the host itself, or an unpacked image of the
	 * cache. The monitor serves it, and the guest has an overlay over it.
	 */
	char directory[PATH_MAX];
	bool host;
	struct digest unpacked; /* "": none */
	bool copy_on_write; /* the guest writes to the image's file system itself, into a layer */
	/* A scratch disk for what the sandbox writes, or the limit of the layer. 0: none, in
	 * memory.
	 */
	uint64_t disk_bytes;
	uint64_t bytes_per_second, operations_per_second; /* limits of each disk; 0: none */
};

struct root {
	struct disk *disk[MACHINE_DISKS];
	char image[PATH_MAX], type[AGENT_ROOT_TYPE_MAX + 1];
	struct agent_root request;
	bool served;	     /* by the monitor's file server, from a directory of the host */
	struct image in_use; /* of the cache, if unpacked says so: stays there while we live */
	bool wanted;	     /* false: there is nothing to do */
	bool present;	     /* the guest has it since it was saved: it is only to be served */
};

/*
 * From what an option says: IMAGE[:ro|:cow][:ext4|squashfs|erofs]. 0, or -errno with a message
 * (also where IMAGE is neither a plain file nor a block device).
 */
int root_parse(struct root_config *config, const char *text, struct err *err);

/* Opens and makes the disks, or finds the directory. 0 or -errno with a message. */
int root_open(struct root *root, const struct root_config *config, struct err *err);

/*
 * Of a sandbox that is restored: its disks are in the snapshot, but a root that is served needs a
 * server again. As root_open().
 */
int root_open_again(struct root *root, const struct root_config *config, struct err *err);

/* What is to be served (host is in a buffer of the caller's). Only if root->served. */
void root_share(const struct root *root, const struct root_config *config, char path[PATH_MAX],
		struct files_share_config *share);

/*
 * Puts them into the machine's devices and sends the agent the request. Under the device lock. 0 or
 * -errno with a message.
 */
int root_request(struct root *root, const struct root_config *config,
		 struct machine_devices *devices, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err);

/* What the agent's reply means: one line for the user. */
void root_explain(const struct root *root, int error, struct err *err);

/* Closes what was not put in. Works on zeros. */
void root_close(struct root *root);

#endif
