/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system that the sandbox starts from, and the agent's own handles on proc, devpts
 * and the sandbox's cgroup, opened before any workload runs.
 */
#ifndef CORDON_GUEST_AGENT_ROOT_H
#define CORDON_GUEST_AGENT_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern int root_error;	   /* 0, or why there is no sandbox: -errno */
extern int root_proc_fd;   /* proc of the whole guest; the sandbox sees its own */
extern int root_pts_fd;	   /* the sandbox's devpts */
extern int root_cgroup_fd; /* the sandbox's cgroup, or -1: then nothing is limited */

/* Builds it and makes it "/". Once. */
void root_prepare(void);

/*
 * Adds to the root file system that is the current directory what every sandbox has: /dev, /proc,
 * /sys, /run, /tmp; and if it is bare, users, their homes and all else that the first root has
 * besides programs. 0 or -errno.
 */
int root_complete(bool bare);

/* Makes the current directory, which is a mount's top, "/". 0 or -errno. */
int root_enter(void);

/* Writes text to a file below a directory: 0 or -errno. */
int root_write(int directory, const char *path, const char *text);

/* A LIMITS request: at most so many processes in the sandbox, 0: our own limit. 0 or an errno
 * value.
 */
uint32_t root_limit(uint32_t processes);

/*
 * A ROOT request: another root file system, and a new sandbox in it. The old one stays if it does
 * not work. Before any workload runs: what is used by its path is still ours. 0 or an errno value.
 */
uint32_t root_replace(const uint8_t *payload, size_t length);

#endif
