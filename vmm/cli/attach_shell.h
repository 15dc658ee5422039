/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's end of a shell session (docs/control-protocol.md): its connection to the monitor,
 * which also brings the questions of the policy, and the stream of the shell's terminal.
 */
#ifndef CORDON_CLI_ATTACH_SHELL_H
#define CORDON_CLI_ATTACH_SHELL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/cli/attach_marks.h"

struct shell_ops {
	struct marks_ops marks;
	/* A question of the policy was asked, or is over. */
	void (*event)(void *arg, const json_t *event);
};

struct shell {
	const char *name; /* of the sandbox */
	const struct shell_ops *ops;
	void *arg;
	int socket_fd;
	int stream_fd;	 /* the terminal; -1: it has ended */
	unsigned number; /* the session's */
	uint64_t last_id, id;
	struct marks marks;
	size_t kept; /* bytes of earlier output that are still to come */
	char *out;   /* input of the terminal that is not sent yet */
	size_t out_at, out_end, out_size;
	bool ended;
	int status; /* of the shell, once it has ended */
};

/* Connects as operator of the sandbox: open questions come as events. 0 or -errno. */
int shell_connect(struct shell *shell, const char *name, const struct shell_ops *ops, void *arg,
		  struct err *err);

/*
 * Attaches to session number; or, if it is 0, to the detached one that was attached last. Returns 1
 * if attached, 0 if there is none (only with number 0), or -errno with a message.
 */
int shell_attach(struct shell *shell, unsigned number, uint16_t rows, uint16_t columns,
		 struct err *err);

/* Starts a new shell and sends it its set-up. 0 or -errno with a message. */
int shell_start(struct shell *shell, uint16_t rows, uint16_t columns, struct err *err);

/* Leaves the session, which goes on. */
void shell_detach(struct shell *shell);
void shell_close(struct shell *shell);

/* Sends input of the terminal, as far as the stream takes it; the rest waits for shell_flush(). */
void shell_send(struct shell *shell, const char *bytes, size_t length);

/* Whether input waits: poll the stream for writing, then call shell_flush(). */
bool shell_has_input(const struct shell *shell);
void shell_flush(struct shell *shell);

void shell_resize(struct shell *shell, uint16_t rows, uint16_t columns);

/* The stream can be read: passes output on to ops. */
void shell_read(struct shell *shell);

/* The connection can be read: takes one message. 0 or -errno with a message (-EPIPE: the sandbox
 * has ended). */
int shell_receive(struct shell *shell, struct err *err);

#endif
