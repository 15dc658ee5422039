/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries bytes between the terminal of a shell session and its client, a stream socket. Clients
 * come and go; the terminal stays.
 *
 * Nothing here blocks, and memory is bounded: a slow client holds up the terminal once
 * AGENT_WINDOW_OUTPUT bytes wait for it. Without a client output is taken at once. With and without
 * one, the last SHELL_KEPT_MAX bytes are kept, for the next client.
 */
#ifndef CORDON_CONTROL_SHELL_RELAY_H
#define CORDON_CONTROL_SHELL_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/err.h"
#include "vmm/base/input.h"
#include "vmm/base/ring.h"
#include "vmm/base/sink.h"

#define SHELL_KEPT_MAX (64u << 10)

struct shell_relay_ops {
	/* What the client typed; returns the bytes taken. If fewer: shell_relay_input_ready(). */
	size_t (*input)(void *arg, const void *bytes, size_t length);
	/* length bytes of output have been passed on, or dropped. */
	void (*consumed)(void *arg, size_t length);
	/* The client has closed its socket: the relay has detached it. */
	void (*left)(void *arg);
	/* After shell_relay_finish(): no output waits for a client any more. May destroy the relay.
	 */
	void (*finished)(void *arg);
};

struct shell_relay {
	struct loop *loop;
	const struct shell_relay_ops *ops;
	void *arg;
	struct ring kept;
	bool attached, finishing, input_ended;
	int fd; /* of the client, or of the last one whose input is still read; or -1 */
	struct input *input; /* then */
	struct sink out;     /* while attached */
	size_t replay;	     /* kept bytes in it, which come first */
	size_t unread;	     /* bytes of new output in it */
	struct loop_task task;
};

void shell_relay_init(struct shell_relay *relay, struct loop *loop,
		      const struct shell_relay_ops *ops, void *arg);

/*
 * Makes the peer of the stream socket fd the client, which gets the kept output first: *kept bytes.
 * The relay must have no client. Takes over fd. 0; or -errno with a message, then fd stays the
 * caller's.
 */
int shell_relay_attach(struct shell_relay *relay, int fd, size_t *kept, struct err *err);

/*
 * The client's socket reads end of file from now on. What the client had sent before still becomes
 * input, unless the next client attaches first. No effect without a client; left() is not called.
 */
void shell_relay_detach(struct shell_relay *relay);

/*
 * Whether the relay has a client. Detaches one that is known to have gone, with left(): its place
 * is free for a client that comes after it. Not from callbacks.
 */
bool shell_relay_attached(struct shell_relay *relay);

/* Output of the terminal: at most AGENT_WINDOW_OUTPUT bytes are not yet consumed at any time. */
void shell_relay_output(struct shell_relay *relay, const void *data, size_t length);

/* The terminal can take input again. */
void shell_relay_input_ready(struct shell_relay *relay);

/* The shell has ended: finished() follows once the client has all output, or is gone. */
void shell_relay_finish(struct shell_relay *relay);

/* Still passes on what it can without waiting. No callback follows. */
void shell_relay_destroy(struct shell_relay *relay);

#endif
