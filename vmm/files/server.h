/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server's process: threads that handle requests of a virtio-fs device by the FUSE server
 * (fuse.h), and one that takes messages of the monitor. ring.h has both; client.h is the other end.
 *
 * Before it reads the first message, the process gives up what it does not need: all system calls
 * but those of server_seccomp.c, of which none starts a program, opens a socket, or signals or
 * traces a process; capabilities but those that access files as host root does; core dumps, and
 * being traced by other processes of the user; started by host root: IPC, network, UTS and cgroup
 * namespaces of its own. It keeps the user: files belong to that. By files_client_begin(), Landlock
 * keeps it to its roots, as far as the kernel can: attributes of other files that are no secret for
 * the user (size, owner, times) it can still see, and of the user's own files change.
 */
#ifndef CORDON_FILES_SERVER_H
#define CORDON_FILES_SERVER_H

#include "vmm/base/err.h"

#define FILES_SERVER_FD 3 /* the socket */
/* Sockets for open files: it gives its own to a successor, and takes those of a predecessor. */
#define FILES_GIVE_FD 4
#define FILES_TAKE_FD 5

/* Serves until the monitor closes the socket. Returns an exit status. */
int files_server_main(int fd);

/* The same without giving anything up: for tests and benchmarks. */
int files_server_run(int fd);

/*
 * What files_server_main() gives up; descriptors above FILES_TAKE_FD are closed. files_isolate():
 * all but the system calls. 0, or -errno with a message.
 */
int files_isolate(struct err *err);
int files_confine(struct err *err);

#endif
