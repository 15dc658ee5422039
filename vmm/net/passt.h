/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt, the backend without root: a child process that turns frames into sockets of the host. It
 * sandboxes itself; what is told to it has passed the filter, and what it tells goes through the
 * filter too. Frames go over a socket pair, each after its length (32 bits, big-endian).
 *
 * Output is buffered up to PASST_BUFFER; who asks passt_has_room() never loses a frame. All calls
 * from the loop's thread or with the device lock held.
 */
#ifndef CORDON_NET_PASST_H
#define CORDON_NET_PASST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/net/backend.h"
#include "vmm/net/publish.h"

#define PASST_BUFFER (1u << 20)

struct passt;

struct passt_config {
	const char *program;	       /* "passt", or a path; looked for in $PATH */
	const struct publish *publish; /* at most PUBLISH_MAX */
	unsigned published;
};

/* Starts it. 0; -ENOENT: it is not installed; -errno, with a message. */
int passt_create(struct passt **out, struct loop *loop, const struct passt_config *config,
		 const struct backend_ops *ops, void *arg, struct err *err);

/* Ends it. NULL is harmless. Not from inside of ops. */
void passt_destroy(struct passt *passt);

bool passt_has_room(const struct passt *passt);
void passt_send(struct passt *passt, const uint8_t *frame, size_t length);
void passt_resume(struct passt *passt);

#endif
