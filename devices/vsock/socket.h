/* SPDX-License-Identifier: Apache-2.0 */
/* The Unix socket of a listener and its file, which a dead process may have left behind. */
#ifndef CORDON_VSOCK_SOCKET_H
#define CORDON_VSOCK_SOCKET_H

#include <sys/types.h>
#include <sys/un.h>

#include "vmm/base/err.h"

struct vsock_socket {
	int fd; /* -1: none */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device; /* of the file, to remove no other */
	ino_t inode;
};

/*
 * Creates the socket at file->path, mode 0600, and listens on it, nonblocking. Replaces a socket
 * that no process listens on; of two processes that find one, only one replaces it. 0 or -errno
 * with a message; the caller must call vsock_socket_close() either way.
 */
int vsock_socket_open(struct vsock_socket *file, struct err *err);

/* Closes the socket and removes its file. */
void vsock_socket_close(struct vsock_socket *file);

#endif
