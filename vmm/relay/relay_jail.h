/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay's process gives up before it parses the first byte of the guest's or the
 * network's: all but its sockets.
 *
 * Always: every system call but those of relay_seccomp.c, of which none takes a path, opens a file,
 * starts or signals a process; capabilities, but for CAP_NET_BIND_SERVICE; core dumps, ptrace(2) by
 * other processes of the user. What else the host grants, enum relay_jail, stands behind that list:
 * it holds if the kernel has a fault that the permitted calls reach.
 *
 * Not in a namespace of its own: the network, since the sockets are the host's; processes, since
 * such a namespace begins with a child, and the process in between would have to live as long.
 */
#ifndef CORDON_RELAY_RELAY_JAIL_H
#define CORDON_RELAY_RELAY_JAIL_H

#include "vmm/base/err.h"

enum relay_jail {
	RELAY_JAIL_ROOT = 1,	   /* its root directory is empty and read-only */
	RELAY_JAIL_NAMESPACES = 2, /* IPC, UTS and cgroup namespaces of its own */
	RELAY_JAIL_USER = 4,	   /* started by root: a user id that no other process has */
	RELAY_JAIL_FILES = 8,	   /* Landlock: it opens and makes no file */
	RELAY_JAIL_PROCESSES = 16, /* Landlock: it signals no process, and connects to no abstract
				    * Unix socket */
};

/*
 * All but the list of system calls; *got: what the host has granted. Descriptors above
 * RELAY_FD_MESSAGES are closed. 0, or -errno with a message.
 */
int relay_isolate(unsigned *got, struct err *err);

/* The whole of it. 0, or -errno with a message. */
int relay_confine(struct err *err);

#endif
