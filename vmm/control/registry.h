/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running sandboxes of a user: one folder each in $XDG_RUNTIME_DIR/cordon (or /run/cordon for
 * root, or /tmp/cordon-UID), for its owner alone. What outlives a sandbox is in its record
 * (vmm/control/record.h). A sandbox's folder holds
 *
 *     lock           held (flock) by the monitor as long as it lives, its process id inside
 *     control.sock   see vmm/control/server.c
 *
 * The lock decides who lives: a folder whose lock is free is a dead monitor's, and whoever comes
 * across it removes it. A monitor and whoever clears holds it exclusively; who only looks takes it
 * shared for a moment, so that lookers never pass for a monitor.
 */
#ifndef CORDON_CONTROL_REGISTRY_H
#define CORDON_CONTROL_REGISTRY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "vmm/base/err.h"

#define SANDBOX_NAME_MAX 48

/* What the made-up name of a `cordon run` begins with. */
#define REGISTRY_RUN_PREFIX "run-"

/* 1 to SANDBOX_NAME_MAX letters, digits, '-', '_' and '.', the first a letter or digit. */
int registry_check_name(const char *name, struct err *err);

/* The folder of all, without making or checking it. */
void registry_root(char path[PATH_MAX]);

/* "FOLDER/NAME/FILE" into path. 0 or -errno with a message. */
int registry_path(const char *name, const char *file, char path[PATH_MAX], struct err *err);

/* The address of the control socket. 0; -ENAMETOOLONG or another -errno with a message. */
int registry_socket(const char *name, struct sockaddr_un *address, struct err *err);

/*
 * Makes name's folder and takes its lock; a dead monitor's folder is cleared first. Returns the
 * lock's descriptor, to be kept open; -EEXIST with a message that says what runs there; or another
 * -errno. The lock is the open file's (flock): a fork shares it, and it is free when all have
 * closed it.
 */
int registry_claim(const char *name, struct err *err);

/*
 * As registry_claim() with a made-up name, REGISTRY_RUN_PREFIX and six characters. Where many are
 * there, those that dead monitors left are cleared first.
 */
int registry_claim_run(char name[SANDBOX_NAME_MAX + 1], struct err *err);

/* Writes the process id into a lock that is held (after a fork). 0 or -errno. */
int registry_set_pid(int lock_fd, pid_t pid);

/*
 * Removes the folder of a sandbox whose lock we hold. Does nothing if the folder is not the one
 * that the lock is of any more (somebody removed it, and another sandbox has the name).
 */
void registry_clear(const char *name, int lock_fd);

struct registry_entry {
	char name[SANDBOX_NAME_MAX + 1];
	pid_t pid;
};

/* Whether a process has been killed or has ended, and only its threads or its reaping are left. */
bool registry_is_dying(pid_t pid);

/*
 * The sandboxes that live, by name; dead ones are cleared. *entries is malloc()ed. Returns their
 * number or -errno with a message.
 */
int registry_list(struct registry_entry **entries, struct err *err);

/* The monitor's process id; -ESRCH if there is no such sandbox (a dead one is cleared). */
int registry_find(const char *name, pid_t *pid, struct err *err);

/*
 * Kills the monitor (SIGKILL) and waits until it is gone and its folder cleared. 0, -ESRCH as
 * above, -ETIMEDOUT if it does not go (it hangs in the kernel), or -errno with a message.
 */
int registry_kill(const char *name, struct err *err);

#endif
