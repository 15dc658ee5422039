/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a share remembers of a file for the sandbox, as the host's file must not have it: owner,
 * set-id bits, the type of a special file and its device number.
 */
#ifndef CORDON_FILES_REMEMBER_H
#define CORDON_FILES_REMEMBER_H

#include "vmm/files/internal.h"

struct remembered {
	bool any;	   /* something was remembered */
	uint32_t uid, gid; /* of the sandbox */
	uint32_t mode;	   /* S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK or 0; S_ISUID and S_ISGID */
	uint32_t rdev;	   /* as the guest's kernel encodes it */
};

/* Whether the fields have values that they can have. */
bool remembered_valid(const struct remembered *remembered);

/*
 * fd: any descriptor of a file of the tree's share, and stat its status. Whatever else its
 * attribute contains counts as nothing; what the table beside the session has counts first.
 *
 * node: the file's, or NULL. It keeps what the attribute said, so that this is not read again while
 * the file is the same and has the same ctime, which each change of an attribute moves. It is kept
 * only if that ctime was old enough when the attribute was read (stat_has_settled()), so that a
 * change could not hide behind it, and of file systems that are known to keep such a time.
 */
void remembered_get(const struct tree *tree, struct node *node, int fd, const struct stat *stat,
		    struct remembered *out);
/* The same of an O_PATH descriptor, for many: it does not try what works with others only. */
void remembered_get_by_path(const struct tree *tree, struct node *node, int fd,
			    const struct stat *stat, struct remembered *out);

/*
 * In the file's attribute or, if it can't carry one, in the table. 0; or -ENOSPC or -ENOMEM; or
 * -EPERM: there is no table.
 */
int remembered_set(const struct tree *tree, int fd, const struct stat *stat,
		   const struct remembered *remembered);

/* The file's contents or owner change: it loses its set-id bits. node: as above. 0 or -errno. */
int remembered_kill(const struct tree *tree, struct node *node, int fd);

#endif
