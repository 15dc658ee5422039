/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running sandboxes of a user: a directory each in $XDG_RUNTIME_DIR/cordon, accessible only to
 * its owner. If the variable is unset, is /run/user/0, or names a directory of another user but
 * host root: in /run/cordon for host root, else in /run/user/UID/cordon, or in /tmp/cordon-UID
 * where the user has no session. A sandbox's record (vmm/control/record.h) outlives it; this
 * directory does not. It has two files:
 *
 *  - lock: locked (flock) by the monitor as long as it lives; contains its process id
 *  - control.sock: see vmm/control/server.c
 *
 * The lock tells whether a sandbox runs: if it is free, the monitor is dead, and any process that
 * finds the directory removes it. A monitor, or a process that removes the directory, locks it
 * exclusively; a process that only looks takes a shared lock for a moment, so that it is never
 * mistaken for a monitor.
 */
#ifndef CORDON_CONTROL_REGISTRY_H
#define CORDON_CONTROL_REGISTRY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "vmm/base/err.h"

#define SANDBOX_NAME_MAX 48

/* The beginning of the generated name of a `cordon run`. */
#define REGISTRY_RUN_PREFIX "run-"

/* Checks a name: up to SANDBOX_NAME_MAX letters, digits, '-', '_', '.', first a letter or digit. */
int registry_check_name(const char *name, struct err *err);

/* The path of the registry's directory, which is neither made nor checked. */
void registry_root(char path[PATH_MAX]);

/* The path of a file of a sandbox, "ROOT/NAME/FILE". 0 or -errno with a message. */
int registry_path(const char *name, const char *file, char path[PATH_MAX], struct err *err);

/* The address of the control socket. 0; -ENAMETOOLONG or another -errno with a message. */
int registry_socket(const char *name, struct sockaddr_un *address, struct err *err);

/*
 * Makes the directory of name and takes its lock, after removing that of a dead monitor. Returns
 * the lock's descriptor, to be kept open; -EEXIST with a message if the name is in use; or another
 * -errno. The lock belongs to the open file (flock): a forked process shares it, and it is free
 * once all have closed it.
 */
int registry_claim(const char *name, struct err *err);

/*
 * As registry_claim() with a generated name: REGISTRY_RUN_PREFIX and six characters. If there are
 * many directories, those of dead monitors are removed first.
 */
int registry_claim_run(char name[SANDBOX_NAME_MAX + 1], struct err *err);

/* Writes the process id into a lock that the caller holds (after a fork). 0 or -errno. */
int registry_set_pid(int lock_fd, pid_t pid);

/*
 * Removes the directory of a sandbox whose lock the caller holds. Does nothing if the lock is no
 * longer that of the directory: it was removed by hand, and another sandbox has the name.
 */
void registry_clear(const char *name, int lock_fd);

struct registry_entry {
	char name[SANDBOX_NAME_MAX + 1];
	pid_t pid;
};

/* Whether a process was killed or has exited, but its threads still end or it is not yet reaped. */
bool registry_is_dying(pid_t pid);

/*
 * Lists the running sandboxes by name, and removes the directories of dead ones. *entries is
 * malloc()ed. Returns their number or -errno with a message.
 */
int registry_list(struct registry_entry **entries, struct err *err);

/* Finds the monitor's process id. 0; -ESRCH if no such sandbox runs (the directory of a dead one is
 * removed); or another -errno; with a message. */
int registry_find(const char *name, pid_t *pid, struct err *err);

/*
 * Kills the monitor (SIGKILL), waits until it has ended and removes its directory. 0, -ESRCH as
 * above, -ETIMEDOUT if it does not end (it hangs in the kernel), or -errno with a message.
 */
int registry_kill(const char *name, struct err *err);

#endif
