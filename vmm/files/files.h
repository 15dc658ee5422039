/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares: a host directory at a path of the guest, or the guest's root file system.
 * vmm/files/fuse.h is the server that serves them; docs/shares.md is the manual of what a guest may
 * do with a file.
 *
 * - Files are reached by place, a path below the share's root, in one openat2(RESOLVE_BENEATH |
 *   RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV), and the policy decides about
 *   the same path. So the decision and the opened file cannot differ, and no descriptor outlives a
 *   rename.
 * - Device nodes, FIFOs and sockets of the host are shown but never opened. Its set-id bits are
 *   neither shown nor created. All operations have the server's own rights.
 */
#ifndef CORDON_FILES_H
#define CORDON_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/files/quota.h"
#include "vmm/policy/policy.h"

#define FILES_SHARES_MAX POLICY_SHARES_MAX /* per sandbox */
#define FILES_GUEST_MAX	 1024u		   /* bytes of a share's path in the guest */
#define FILES_NAME_MAX	 255u		   /* bytes of a name in a directory */

/* The guest's kernel adds this to the sandbox's ids, of which the last is the last below -1. */
#define FILES_ID_BASE 100000u
#define FILES_ID_MAX  (UINT32_MAX - 1 - FILES_ID_BASE)

/*
 * "UID:GID:MODE:RDEV" of a file of a share that remembers owners: of the sandbox, MODE octal with
 * the type of a special file and set-id bits. The guest does not see it.
 */
#define FILES_STAT_ATTRIBUTE "user.cordon.stat"

struct guard;

struct files_share_config {
	const char *host;  /* a directory */
	const int *opened; /* a descriptor of it; NULL: it is opened by its path */
	bool probed;	   /* opened: another process has checked it so, and nothing is opened */
	const char *guest; /* absolute path in the guest */
	bool read_only;	   /* regardless of the policy */
	bool rootfs;	   /* the guest's root file system: see struct policy_request */
	/*
	 * host is "/", and the guest sees the part that host_root.h shows, across mounts, as far as
	 * every user of the host may read it: a server that runs as host root drops root's rights
	 * for it.
	 */
	bool host_root;
	/*
	 * Owners, set-id bits and special files that the sandbox asks for are kept in
	 * FILES_STAT_ATTRIBUTE and shown to it. On the host, files keep their owner, have no such
	 * bits, and special files are empty ones. Without it, such requests are refused.
	 */
	bool remember;
	uint32_t uid;	  /* the sandbox sees files of the server's user as of this user */
	uint32_t gid;	  /* and those of its group as of this group */
	uint32_t id_base; /* FILES_ID_BASE */
	/* Decides every operation (class file; objects are guest paths). NULL: all are allowed. It
	 * outlives the share. */
	struct guard *guard;
	/* What may be made in it, and in other shares. NULL: anything. It outlives the share. */
	struct files_quota *quota;
};

struct files_share {
	int root_fd;		     /* O_PATH */
	char guest[FILES_GUEST_MAX]; /* normalised; "" for the guest's root */
	bool read_only, rootfs, host_root, remember;
	bool quiet_close; /* close(2) of its files reports no error of an earlier write */
	uint32_t uid, gid, id_base;
	uint32_t host_uid, host_gid; /* the server's own */
	struct guard *guard;
	struct files_quota *quota;
};

/*
 * Opens the host directory: 0 or -errno with a message (missing, not a directory, on a pseudo file
 * system such as /proc or on one that is not case-sensitive).
 */
int files_share_open(struct files_share *share, const struct files_share_config *config,
		     struct err *err);

/* Call when no session serves it any more. Harmless if all is zero except root_fd, which is -1. */
void files_share_close(struct files_share *share);

/* Checks and normalises a guest path: 0, -EINVAL (relative, or with "..") or -ENAMETOOLONG. */
int files_guest_path(char to[FILES_GUEST_MAX], const char *path);

#endif
