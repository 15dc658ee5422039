/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a chain, by their paths: what is opened, renamed and removed is looked up in the
 * directory of the chain where it has one, so that nothing else of the host is reached by name.
 */
#ifndef CORDON_POLICY_AUDIT_CHAIN_FILES_H
#define CORDON_POLICY_AUDIT_CHAIN_FILES_H

#include <sys/stat.h>

#include "vmm/policy/audit_chain.h"

/* The path of a file: number 0 is the current one. */
void audit_chain_file(const struct audit_chain *chain, unsigned number, char path[AUDIT_PATH_MAX]);
/* That of the next file until it is renamed to the current one. */
void audit_chain_new(const struct audit_chain *chain, char path[AUDIT_PATH_MAX]);

/* open(2) with mode 0600, stat(2), rename(2), unlink(2): the result, with errno. */
int audit_chain_open_file(const struct audit_chain *chain, const char *path, int flags);
int audit_chain_stat(const struct audit_chain *chain, const char *path, struct stat *status);
int audit_chain_rename(const struct audit_chain *chain, const char *from, const char *to);
int audit_chain_unlink(const struct audit_chain *chain, const char *path);

/* As rename(2), but fails with EEXIST if the target exists, where the file system supports that. */
int audit_chain_rename_new(const struct audit_chain *chain, const char *from, const char *to);

#endif
