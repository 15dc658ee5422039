/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the control socket: one JSON object in a packet (SOCK_SEQPACKET), at most MESSAGE_MAX
 * bytes, with up to MESSAGE_FDS descriptors (SCM_RIGHTS). docs/control-protocol.md is the manual.
 */
#ifndef CORDON_CONTROL_MESSAGE_H
#define CORDON_CONTROL_MESSAGE_H

#include <jansson.h>
#include <limits.h>
#include <stddef.h>

#include "vmm/base/err.h"

#define MESSAGE_MAX	 (128u << 10)
#define MESSAGE_FDS	 3
#define MESSAGE_PROTOCOL 2

struct message {
	json_t *body; /* an object */
	int fd[MESSAGE_FDS];
	unsigned fds;
};

/*
 * Sends body and descriptors; both stay the caller's. flags as for sendmsg(2). 0; -EAGAIN; -EPIPE;
 * -EMSGSIZE; or another -errno.
 */
int message_send(int socket_fd, json_t *body, const int *fd, unsigned fds, int flags);

/*
 * Receives a message. 1; 0 at end of file; -EAGAIN; -EPROTO with a message if it is malformed (too
 * long, not a JSON object, too many descriptors); or another -errno.
 */
int message_receive(int socket_fd, struct message *message, int flags, struct err *err);

/*
 * A path of the host as JSON: a string; or, if it is not UTF-8, a list of its bytes. NULL: out of
 * memory.
 */
json_t *message_path(const char *path);

/* Reads one. 0; or -EINVAL: it is missing, too long, or something else. */
int message_read_path(const json_t *json, char path[PATH_MAX]);

/* Frees the body and closes the descriptors, except those that the caller has taken: set to -1. */
void message_clear(struct message *message);

#endif
