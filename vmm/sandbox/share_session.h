/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the guest to a share: a stream, a worker of the file server, and their
 * snapshot.
 */
#ifndef CORDON_SANDBOX_SHARE_SESSION_H
#define CORDON_SANDBOX_SHARE_SESSION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/sandbox/shares.h"

struct vsock_stream;

/* For vsock_listen(): arg is the share_link. */
int share_session_accept(void *arg, struct vsock_stream *stream);
void share_sessions_free(struct share_link *link);

/* While held, sessions begin no request. busy: whether one has a request under way. */
void share_sessions_hold(struct share_link *link, bool held);
bool share_sessions_busy(const struct share_link *link);

/*
 * Adds a section for each session that can go on after a restore, numbered from *number on. 0;
 * -EBUSY: a request is under way; -E2BIG: more than a snapshot can hold.
 */
int share_sessions_save(struct share_link *link, uint32_t *number, struct pack *state);

/* The head of a saved session: which share it belongs to. */
struct share_saved {
	uint32_t port, guest_port;
	bool read_only;
	char guest[FILES_GUEST_MAX]; /* its path in the guest; "" for the root */
	char host[PATH_MAX];	     /* for messages, and to tell root file systems apart */
};

/* Parses hostile bytes: 0 or -EINVAL. The rest of them is for share_session_restore(). */
int share_saved_parse(struct share_saved *saved, struct unpack *from);

/*
 * Continues the session of a guest that knows its share by that port, even if the port is another
 * share's now. 0, or -EINVAL, -ENOMEM, -ENOBUFS or -ENFILE; then nothing is left of the session.
 */
int share_session_restore(struct share_link *link, struct vsock *vsock, uint32_t port,
			  struct unpack *from);

#endif
