/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's initial root file system, and the agent's descriptors of proc, devpts and the
 * sandbox's cgroup, opened before any workload runs.
 */
#ifndef CORDON_GUEST_AGENT_ROOT_H
#define CORDON_GUEST_AGENT_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern int root_error;	   /* 0; -errno: there can be no sandbox, for this reason */
extern int root_proc_fd;   /* proc of the whole guest; the sandbox sees its own */
extern int root_pts_fd;	   /* the sandbox's devpts */
extern int root_cgroup_fd; /* the sandbox's cgroup; -1: none, and no limits */

/* Builds the root file system and makes it "/". Called once. */
void root_prepare(void);

/*
 * Completes the root file system in the current directory with what every sandbox has: /dev, /proc,
 * /sys, /run, /tmp; if it is bare, also users, their homes and everything else that the initial
 * root has besides programs. 0 or -errno.
 */
int root_complete(bool bare);

/*
 * Options of a tmpfs: more, and a limit on the number of files, which the kernel would make half of
 * the memory's pages. Here files take at most half of the memory beside their contents, for which
 * the kernel's limit is the other half.
 */
#define ROOT_OPTIONS_SIZE 80
/* Of sandbox root, SANDBOX_ID_BASE. */
#define SANDBOX_OWNER	     "mode=755,uid=100000,gid=100000"
#define SANDBOX_OWNER_SHARED "mode=1777,uid=100000,gid=100000"
const char *root_memory(char options[ROOT_OPTIONS_SIZE], const char *more);

/* Makes the current directory, which is the top of a mount, "/". 0 or -errno. */
int root_enter(void);

/* Writes text to an existing file below a directory. 0 or -errno. */
int root_write(int directory, const char *path, const char *text);

/*
 * Handles ROOT: replaces the root file system and creates a new sandbox in it; on failure the old
 * one stays. Only before any workload runs, while the paths that it uses are still trusted. 0 or an
 * errno value.
 */
uint32_t root_replace(const uint8_t *payload, size_t length);

/*
 * seal.c: handles SEAL, under the same conditions. root_lock(): before and after the sandbox's
 * namespaces are made; 0 or -errno.
 */
uint32_t root_seal(void);
bool root_sealed(void);
int root_lock(bool locked);

#endif
