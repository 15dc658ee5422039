/* SPDX-License-Identifier: Apache-2.0 */
/* A client of a sandbox's control socket: connects, sends requests, receives replies and events. */
#ifndef CORDON_CONTROL_CLIENT_H
#define CORDON_CONTROL_CLIENT_H

#include "vmm/base/err.h"
#include "vmm/control/message.h"

/*
 * Connects to the sandbox called name and reads its greeting. timeout_ms: for this and for every
 * later send and receive; 0: none. Returns the socket; or with a message: -ESRCH if there is no
 * such sandbox; -EPROTO if it speaks another version; -ETIMEDOUT; or another -errno.
 */
int client_connect(const char *name, unsigned timeout_ms, struct err *err);

/* Sends a request; takes the reference to body. 0 or -errno with a message. */
int client_send(int socket_fd, json_t *body, const int *fd, unsigned fds, struct err *err);

/*
 * Waits for the next message, a reply or an event. 0, or -errno with a message (-EPIPE: the sandbox
 * has ended, -ETIMEDOUT: it does not respond).
 */
int client_receive(int socket_fd, struct message *message, struct err *err);

/*
 * Sends a request and waits for its reply. 0 with the reply, which the caller clears; -EREMOTE with
 * the sandbox's message if it refused; or another -errno with a message.
 */
int client_request(int socket_fd, json_t *body, struct message *reply, struct err *err);

/* As client_request(), and passes descriptors, which stay the caller's. */
int client_request_with(int socket_fd, json_t *body, const int *fd, unsigned fds,
			struct message *reply, struct err *err);

/*
 * Connects, sends a request, waits for the reply, closes. Takes the reference to request; the
 * caller clears the reply. timeout_ms as for client_connect(). 0, or -errno with a message as of
 * client_connect() and client_request().
 */
int client_request_once(const char *name, unsigned timeout_ms, json_t *request,
			struct message *reply, struct err *err);

#endif
