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

/*
 * fd: any descriptor of a file or directory. Whatever else the attribute contains counts as
 * nothing.
 */
void remembered_get(const struct files_share *share, int fd, struct remembered *out);

/* 0; or -EPERM if the file, or its file system, cannot carry it. */
int remembered_set(int fd, const struct remembered *remembered);

/* The file's contents or owner change: it loses its set-id bits. 0 or -EPERM. */
int remembered_kill(const struct files_share *share, int fd);

#endif
