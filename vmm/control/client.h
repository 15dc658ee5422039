/* SPDX-License-Identifier: Apache-2.0 */
/* A client of a sandbox's control socket: connect, ask, wait for the answer. */
#ifndef CORDON_CONTROL_CLIENT_H
#define CORDON_CONTROL_CLIENT_H

#include "vmm/base/err.h"
#include "vmm/control/message.h"

/*
 * Connects to the sandbox called name and reads its greeting. patience_ms: how long this and every
 * later send and receive may take, 0 for as long as it takes. Returns the socket; -ESRCH with a
 * message if there is none; -EPROTO if it speaks another version; -ETIMEDOUT; or another -errno.
 */
int client_connect(const char *name, unsigned patience_ms, struct err *err);

/* Sends a request; body's reference is taken. 0 or -errno with a message. */
int client_send(int socket_fd, json_t *body, const int *fd, unsigned fds, struct err *err);

/*
 * Waits for the next message, whatever it is. 0, or -errno with a message (-EPIPE: it is gone,
 * -ETIMEDOUT: it does not answer).
 */
int client_receive(int socket_fd, struct message *message, struct err *err);

/*
 * Sends a request and waits for its answer. 0 with the answer, which the caller clears; -EREMOTE
 * with the sandbox's own message if it refused; or another -errno with a message.
 */
int client_ask(int socket_fd, json_t *body, struct message *answer, struct err *err);

/* As client_ask(), with descriptors that go along and stay the caller's. */
int client_ask_with(int socket_fd, json_t *body, const int *fd, unsigned fds,
		    struct message *answer, struct err *err);

/*
 * Connects, asks, closes. The request's reference is taken; the answer is the caller's to clear.
 * patience_ms as for client_connect(). 0, or -errno with a message as of the two.
 */
int client_ask_once(const char *name, unsigned patience_ms, json_t *request, struct message *answer,
		    struct err *err);

#endif
