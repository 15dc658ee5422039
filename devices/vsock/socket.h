/* SPDX-License-Identifier: Apache-2.0 */
/* The Unix socket that a listener listens on: its file, which a dead process may have left. */
#ifndef CORDON_VSOCK_SOCKET_H
#define CORDON_VSOCK_SOCKET_H

#include <sys/types.h>
#include <sys/un.h>

#include "vmm/base/err.h"

struct vsock_socket {
	int fd; /* or -1 */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device; /* of the file, to remove no other */
	ino_t inode;
};

/*
 * Makes the socket at file->path, mode 0600, and listens on it, nonblocking. A socket that no
 * process listens on is replaced; of two processes that find one, one replaces it. 0 or -errno with
 * a message; vsock_socket_close() is due either way.
 */
int vsock_socket_open(struct vsock_socket *file, struct err *err);

/* Closes it and removes its file. */
void vsock_socket_close(struct vsock_socket *file);

#endif
