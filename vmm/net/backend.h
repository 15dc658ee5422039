/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind the filter (passt, a tap): what it tells its owner, from the loop's thread. */
#ifndef CORDON_NET_BACKEND_H
#define CORDON_NET_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_ops {
	/* Whether frames are taken now; if not, the owner resumes it later. */
	bool (*room)(void *arg);
	/* A frame from outside; the bytes may be changed. */
	void (*frame)(void *arg, uint8_t *frame, size_t length);
	/* It has room again for frames to send. */
	void (*drained)(void *arg);
	/* It has begun its work: all published ports are open. May be NULL. */
	void (*started)(void *arg);
	/* It has ended, or broke the rules: nothing comes or goes any more. why: one line. */
	void (*died)(void *arg, const char *why);
};

#endif
