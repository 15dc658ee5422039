/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of files that can't carry an attribute: symbolic links and special files of
 * the host, files of other users, files without write permission, file systems without attributes.
 * It lies beside a session, is saved with it, and ends with it.
 *
 * A file is known by its device and inode number, and by its time of birth where the file system
 * has that: so what was remembered of a file that the host has removed is not shown of another one
 * that got its number. All calls may be made from any thread; the table never waits for a disk with
 * its mutex.
 */
#ifndef CORDON_FILES_REMEMBER_TABLE_H
#define CORDON_FILES_REMEMBER_TABLE_H

#include <sys/stat.h>

#include "vmm/base/pack.h"
#include "vmm/files/fuse.h"
#include "vmm/files/remember.h"

struct remember_table;

/* NULL: out of memory. */
struct remember_table *remember_table_create(void);
void remember_table_destroy(struct remember_table *table);

/* fd and stat are of the file. table may be NULL. *out stays as it is if there is nothing. */
void remember_table_get(struct remember_table *table, int fd, const struct stat *stat,
			struct remembered *out);
/* 0, -ENOSPC (the table is full), -ENOMEM; -EPERM (NULL). */
int remember_table_set(struct remember_table *table, int fd, const struct stat *stat,
		       const struct remembered *remembered);
/* The file is gone, or has an attribute now. */
void remember_table_drop(struct remember_table *table, const struct stat *stat);
uint32_t remember_table_used(struct remember_table *table);

/*
 * Device numbers may be others when a session is restored: those of the roots are saved as the
 * roots' places in devices, where 0 stands for a root that does not exist. What was on such a root
 * is forgotten. Restoring: 0, -EINVAL, -ENOSPC or -ENOMEM.
 */
void remember_table_save(struct remember_table *table, const dev_t *devices, unsigned count,
			 struct pack *to);
int remember_table_restore(struct remember_table *table, const dev_t *devices, unsigned count,
			   struct unpack *from);

#endif
