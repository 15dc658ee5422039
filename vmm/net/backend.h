/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks of a backend (passt, a tap) to its owner, from the loop's thread. */
#ifndef CORDON_NET_BACKEND_H
#define CORDON_NET_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_ops {
	/* Whether the owner accepts a frame now; if not, it resumes the backend later. */
	bool (*room)(void *arg);
	/* A frame from outside; the owner may change the bytes. */
	void (*frame)(void *arg, uint8_t *frame, size_t length);
	/* The backend has room again for frames to send. */
	void (*drained)(void *arg);
	/* The backend works: all published ports are open. May be NULL. */
	void (*started)(void *arg);
	/* The backend has ended or violated its protocol: no more frames. why: one line. */
	void (*died)(void *arg, const char *why);
};

#endif
