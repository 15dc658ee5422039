/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes of Cordon's own that parse hostile bytes give up, in parts: the relay
 * (vmm/relay/relay_jail.h) and the file server (vmm/files/server_jail.c) have each their list.
 */
#ifndef CORDON_BASE_JAIL_H
#define CORDON_BASE_JAIL_H

#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

/* A capability's bit; of those below 32. */
#define JAIL_CAPABILITY(capability) (UINT32_C(1) << (capability))

/* Whether the process has all of these; false if that can't be told. */
bool jail_has_capabilities(uint32_t wanted);

/* Keeps those of `wanted` that it has. 0, or -errno with a message. */
int jail_keep_capabilities(uint32_t wanted, struct err *err);

/* No core dumps; as many descriptors as the hard limit permits. 0, or -errno with a message. */
int jail_limit_resources(struct err *err);

/*
 * Namespaces of its own, of kinds (CLONE_NEWIPC ...) of which a kernel may lack some. Whether it
 * got all. Needs CAP_SYS_ADMIN.
 */
bool jail_enter_namespaces(const int *kinds, unsigned count);

/*
 * It ends with the thread that started it; other processes of its user can't trace it; it gets no
 * rights from programs' files. Not before a change of the user id, which undoes the first two. 0,
 * or -errno with a message.
 */
int jail_detach(struct err *err);

/*
 * A list of system calls: a filter with the rules that add_rules() adds, and the action `otherwise`
 * for the rest. 0 or -errno.
 */
int jail_filter(uint32_t otherwise, int (*add_rules)(scmp_filter_ctx context));

/*
 * A filter as the kernel takes it: at most BPF_MAXINSNS instructions. The caller frees
 * program->filter. 0 or -errno (-E2BIG: it is longer).
 */
int jail_program(scmp_filter_ctx context, struct sock_fprog *program);

/* --- threads of the monitor ------------------------------------------------------------------- */

enum jail_thread {
	JAIL_LOOP, /* the event loop, the process's first thread */
	JAIL_VCPU,
	JAIL_DISK, /* of the pool for disks */
	JAIL_THREADS,
};

/*
 * Sets what each thread of the process gives up as it begins (vmm/jail/stages.h); NULL: nothing.
 * Before the first thread starts. If begin() can't confine the thread, it ends the process.
 */
void jail_set_begin(void (*begin)(enum jail_thread thread));

/* A thread calls it first. */
void jail_begin_thread(enum jail_thread thread);

/* --- Landlock --------------------------------------------------------------------------------- */

/* Rights to files (Linux: LANDLOCK_ACCESS_FS_). */
#define JAIL_READ  0x000cull /* files and directories */
#define JAIL_WRITE 0x71b2ull /* write, cut, create, remove, move */

struct jail_landlock {
	int fd; /* -1: the kernel has none */
	unsigned version;
};

/* From this version on, files can be moved between directories, and cutting them is known. */
#define JAIL_LANDLOCK_WHOLE 3u
/* From this one on, it keeps from signals to other processes, and abstract Unix sockets. */
#define JAIL_LANDLOCK_SCOPES 6u

/* A set of rules that denies whatever the kernel can deny about files, and has no exception yet. */
void jail_landlock_create(struct jail_landlock *landlock);
/* Permits rights below a directory. 0 or -errno. */
int jail_landlock_permit(const struct jail_landlock *landlock, int directory, uint64_t rights);
/* Restricts the calling thread, and those that it starts. Needs jail_detach(). 0 or -errno. */
int jail_landlock_restrict(const struct jail_landlock *landlock);
void jail_landlock_close(struct jail_landlock *landlock);

#endif
