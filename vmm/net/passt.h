/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt, the backend without host root: a child process that turns frames into sockets of the host.
 * It sandboxes itself; frames in both directions pass the filter. They go through a socket pair,
 * each after its length (32 bits, big-endian).
 *
 * Output is buffered up to PASST_BUFFER; a caller that checks passt_has_room() first never loses a
 * frame. All calls come from the loop's thread or with the device lock held.
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
	const char *program;	       /* "passt", searched in $PATH, or a path */
	const struct publish *publish; /* at most PUBLISH_MAX */
	unsigned published;
};

/* Starts passt. 0; or -errno with a message, -ENOENT if it is not installed. */
int passt_create(struct passt **out, struct loop *loop, const struct passt_config *config,
		 const struct backend_ops *ops, void *arg, struct err *err);

/* Ends passt. NULL is harmless. Not from within a callback. */
void passt_destroy(struct passt *passt);

bool passt_has_room(const struct passt *passt);
void passt_send(struct passt *passt, const uint8_t *frame, size_t length);
void passt_resume(struct passt *passt);

#endif
