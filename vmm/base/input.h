/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Non-blocking reader of standard input, with back-pressure: bytes that the consumer can't take yet
 * stay in a buffer of INPUT_BUFFER bytes, and reading stops until input_resume().
 */
#ifndef CORDON_BASE_INPUT_H
#define CORDON_BASE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/loop.h"

#define INPUT_BUFFER (64u << 10)

struct input_ops {
	/* Consumes up to length bytes, returns how many. May stop the input, not destroy it. */
	size_t (*data)(void *arg, const void *bytes, size_t length);
	/* End of input. Called once, after all bytes have been consumed. */
	void (*end)(void *arg);
};

struct input {
	struct loop *loop;
	const struct input_ops *ops;
	void *arg;
	int fd;	  /* the caller's, or our own */
	bool own; /* reopened with O_NONBLOCK: no other process shares its flags */
	bool is_socket;
	bool always_ready; /* a regular file: epoll can't watch it */
	bool running, ended;
	size_t start, used; /* the bytes in buffer that wait for the consumer */
	struct loop_source source;
	struct loop_task task;
	uint8_t buffer[INPUT_BUFFER];
};

/*
 * Reads nothing before input_resume(). fd stays the caller's. Other processes may read from the
 * same pipe, terminal or socket: if one of them takes the bytes first, a read here must not block.
 * The descriptor's flags are shared with those processes and must not change, so a pipe or terminal
 * is reopened with O_NONBLOCK where that is permitted.
 */
void input_init(struct input *input, struct loop *loop, int fd, const struct input_ops *ops,
		void *arg);

/* Starts reading, or goes on: the consumer can take bytes (again). */
void input_resume(struct input *input);

/* input_resume() for the first time: calls back at once if there is no need to wait for the input.
 */
void input_start(struct input *input);

/* Stops reading until input_resume(). */
void input_stop(struct input *input);

/* input_stop() for good, and closes what input_init() opened. Harmless on a zeroed struct. */
void input_destroy(struct input *input);

#endif
