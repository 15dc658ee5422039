/* SPDX-License-Identifier: Apache-2.0 */
/* What the forwarder's child gets instead of vsock and of the rest of the agent. */
#ifndef CORDON_TEST_AGENT_FORWARD_COMMON_H
#define CORDON_TEST_AGENT_FORWARD_COMMON_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

extern char directory[64]; /* of the sockets that stand for vsock ports */
extern unsigned *cid;	   /* of clients: shared with the child */

/* The socket that stands for a vsock port. */
struct sockaddr_un path_of(uint32_t port);

int fake_socket(int family, int type, int protocol);
int fake_bind(int fd, const struct sockaddr *address, socklen_t length);
int fake_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);

/* Only root can become another user. */
int fake_become(void);

#endif
