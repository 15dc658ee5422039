/* SPDX-License-Identifier: Apache-2.0 */
/* Finds paths of the host that lead through a symbolic link that a guest may have made. */
#ifndef CORDON_CONTROL_SHARE_LINKS_H
#define CORDON_CONTROL_SHARE_LINKS_H

#include "vmm/policy/policy.h"

/*
 * Refuses a path (of another share, a root file system, a snapshot) that enters a writable share of
 * the policy and then follows a symbolic link there: the guest of an earlier sandbox may have
 * chosen where it leads. what: "--rootfs", for the message. 0, or -ELOOP with a message.
 */
int share_links_check(const struct policy *policy, const char *path, const char *what,
		      struct err *err);

/* Directories that guests may write to, by their paths on the host. */
struct share_tops {
	char **path;
	unsigned count;
};

/* Adds a copy of the path, unless it is there. 0 or -ENOMEM. */
int share_tops_add(struct share_tops *tops, const char *path);
/* The writable shares of a policy. 0 or -ENOMEM. */
int share_tops_of(struct share_tops *tops, const struct policy *policy);
void share_tops_free(struct share_tops *tops);

/*
 * Opens a directory, with O_PATH, as open(2) would, but follows no symbolic link that lies in one
 * of tops, nor '..' of a directory in one: while the sandbox runs, its guest could redirect a link,
 * or move the directory, at any moment. what: "share", for messages. The descriptor, or -errno with
 * a message.
 */
int share_links_open(const struct share_tops *tops, const char *path, const char *what,
		     struct err *err);

/*
 * The same with the directory that path names a file in; *name: that file's name, which points into
 * path and may be "". A symbolic link of that name in one of tops is refused, too.
 */
int share_links_open_parent(const struct share_tops *tops, const char *path, const char *what,
			    const char **name, struct err *err);

#endif
