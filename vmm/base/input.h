/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input, read in the loop without ever waiting and handed on as far as the other side
 * takes it: what it can't take now is kept (at most INPUT_BUFFER bytes), and nothing more is read
 * until input_resume().
 */
#ifndef CORDON_BASE_INPUT_H
#define CORDON_BASE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/loop.h"

#define INPUT_BUFFER (64u << 10)

struct input_ops {
	/* Takes up to length bytes, returns how many. May stop the input, not destroy it. */
	size_t (*data)(void *arg, const void *bytes, size_t length);
	/* Nothing more comes. Called once, after everything has been taken. */
	void (*end)(void *arg);
};

struct input {
	struct loop *loop;
	const struct input_ops *ops;
	void *arg;
	int fd;	  /* the caller's, or our own */
	bool own; /* opened anew without blocking: its flags are shared with nobody */
	bool is_socket;
	bool always_ready; /* a plain file: epoll can't watch it */
	bool running, ended;
	size_t start, used; /* bytes kept in buffer */
	struct loop_source source;
	struct loop_task task;
	uint8_t buffer[INPUT_BUFFER];
};

/*
 * Nothing is read before input_resume(). fd stays the caller's. Others may read from the same pipe,
 * terminal or socket: being second must not make us wait, and the descriptor's flags are not ours
 * to change, so a pipe or terminal is opened anew where that is allowed.
 */
void input_init(struct input *input, struct loop *loop, int fd, const struct input_ops *ops,
		void *arg);

/* The other side takes bytes (again). */
void input_resume(struct input *input);

void input_stop(struct input *input);

/* input_stop() for good, and closes what input_init() opened. Harmless on a zeroed struct. */
void input_destroy(struct input *input);

#endif
