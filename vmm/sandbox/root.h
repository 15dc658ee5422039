/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's root file system, if it is not just the initramfs: the disks that it needs, and the
 * request that makes the agent build the root file system from them.
 *
 * The disks are opened or created before the machine, so that an error in them is reported before
 * anything runs. They are inserted into the machine, and the request is sent, once the agent is
 * ready: a template contains none of this.
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

/* The default limit of a private layer over an image, in bytes on the host's disk. */
#define ROOT_LAYER_DEFAULT (UINT64_C(2) << 30)
#define ROOT_DISK_MIN	   (UINT64_C(1) << 20)

struct root_config {
	char image[PATH_MAX];		    /* absolute; "": none */
	char type[AGENT_ROOT_TYPE_MAX + 1]; /* of its file system; "": found in the image */
	struct digest cached; /* instead of a path: an OCI image in the cache; "": none */
	/*
	 * Instead of an image: a directory (absolute), or the host's own root file system. The
	 * monitor serves it, and the guest puts an overlay over it.
	 */
	char directory[PATH_MAX];
	bool host;
	bool copy_on_write; /* the guest writes to a private layer over the image */
	bool read_only;	    /* the sandbox writes to /tmp, /run and /dev only; also of none */
	/*
	 * The size of a scratch disk for writes, or the limit of the private layer. 0: writes go to
	 * guest memory, or the default limit.
	 */
	uint64_t disk_bytes;
	uint64_t bytes_per_second, operations_per_second; /* limits of each disk; 0: none */
};

struct root {
	struct disk *disk[MACHINE_DISKS];
	char image[PATH_MAX], type[AGENT_ROOT_TYPE_MAX + 1];
	struct agent_root request;
	bool served;	     /* by the monitor's file server, from a directory of the host */
	struct image in_use; /* of the cache: kept there while the sandbox lives */
	bool wanted;	     /* false: the initramfs alone */
	bool present;	     /* a restored guest has mounted it already */
};

/*
 * Parses an option's argument, IMAGE[:ro|:cow][:ext4|squashfs|erofs]. 0, or -errno with a message
 * (also if IMAGE is neither a plain file nor a block device).
 */
int root_parse(struct root_config *config, const char *text, struct err *err);

/* Opens or creates the disks, or finds the directory. 0 or -errno with a message. */
int root_open(struct root *root, const struct root_config *config, struct err *err);

/*
 * The same for a sandbox being restored: its disks are in the snapshot, but for an image of the
 * cache; and a root file system that the monitor serves needs its server again.
 */
int root_open_again(struct root *root, const struct root_config *config, struct err *err);

/* Whether it is the initramfs, perhaps with a disk for writes: its programs are busybox's. */
bool root_is_builtin(const struct root_config *config);

/* The share to serve; its host path is written into path. Only if root->served. */
void root_share(const struct root_config *config, char path[PATH_MAX],
		struct files_share_config *share);

/*
 * Inserts the disks into the machine's devices and sends the agent the request. Under the device
 * lock. 0 or -errno with a message.
 */
int root_request(struct root *root, const struct root_config *config,
		 struct machine_devices *devices, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err);

/* Explains the agent's reply in one line for the user. */
void root_explain(const struct root *root, int error, struct err *err);

/* Closes the disks that were not inserted. Works on zeros. */
void root_close(struct root *root);

#endif
