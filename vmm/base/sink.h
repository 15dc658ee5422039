/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded, non-blocking writer to a descriptor that other processes share (stdout, stderr).
 *
 * The loop must never wait for a reader, and the shared descriptor's flags must not change. So
 * pipes and terminals are reopened with O_NONBLOCK, sockets are written with MSG_DONTWAIT, and
 * regular files are written at once.
 */
#ifndef CORDON_BASE_SINK_H
#define CORDON_BASE_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/loop.h"
#include "vmm/base/ring.h"

struct sink_ops {
	/* length bytes have left the buffer (written, or dropped after a failure). */
	void (*drained)(void *arg, size_t length);
	/* A write failed with errno code (EPIPE, ENOSPC ...). Later writes are dropped. */
	void (*failed)(void *arg, int code);
};

struct sink {
	struct loop *loop;
	const struct sink_ops *ops; /* either or both may be NULL */
	void *arg;
	int fd; /* our own descriptor */
	int kind;
	bool failed;
	struct ring buffer;
	struct loop_source source;
};

/* fd stays the caller's. capacity in bytes. 0 or -errno. */
int sink_init(struct sink *sink, struct loop *loop, int fd, size_t capacity,
	      const struct sink_ops *ops, void *arg);

/* Takes up to length bytes; returns how many (fewer only if the buffer is full). */
size_t sink_write(struct sink *sink, const void *from, size_t length);

/* Bytes in the buffer that wait for a reader. */
size_t sink_pending(const struct sink *sink);

/* Writes buffered bytes as far as it can without waiting, then frees. No effect on a zeroed struct.
 */
void sink_destroy(struct sink *sink);

#endif
