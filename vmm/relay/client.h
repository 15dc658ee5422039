/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's end of a relay: starts its process, passes frames and messages, and checks whole
 * what it sends. The relay parses what the guest and the network send, so it is taken for hostile:
 * at the first message that no working relay sends it is killed.
 *
 * The process is this program under the name "cordon-relay", with an empty environment, no terminal
 * and no descriptors but stderr and its two sockets. It ends when the monitor does.
 *
 * All calls come from the loop's thread or with the device lock held; ops are called from the
 * loop's thread, never from within a call of the owner's. Callbacks must not destroy the client.
 */
#ifndef CORDON_RELAY_CLIENT_H
#define CORDON_RELAY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/relay/wire.h"

#define RELAY_CLIENT_PROGRAM "cordon-relay" /* its argv[0], by which main() knows it */
#define RELAY_CLIENT_HEADER  12		    /* bytes of struct virtio_net_hdr_v1 */
#define RELAY_FLOWS_SHOWN    128	    /* live flows that are kept of each report */

struct relay_client;

struct relay_client_config {
	struct relay_config relay;
	const struct policy *policy; /* needed until relay_client_create() returns */
	const char *program;	     /* for tests: another program's path; NULL: this one */
};

/* What the relay said of its flows: all of one moment. */
struct relay_client_report {
	struct relay_stats total;
	unsigned flows; /* at most RELAY_FLOWS_SHOWN of total.flows */
	struct relay_flow_info flow[RELAY_FLOWS_SHOWN];
};

struct relay_client_ops {
	/* Whether the owner takes a frame now; if not, it calls relay_client_resume() later. */
	bool (*room)(void *arg);
	/*
	 * A frame for the guest, of 14 to PACKET_FRAME_MAX bytes; the owner may change the bytes.
	 * Neither they nor those of the header have been looked at.
	 */
	void (*frame)(void *arg, const uint8_t header[RELAY_CLIENT_HEADER], uint8_t *frame,
		      size_t length);
	/* There is room for frames: relay_client_has_room(). The first call: the relay is ready. */
	void (*drained)(void *arg);
	/*
	 * A request for a verdict. Its ticket is 0, and it is only to be logged; or the owner calls
	 * relay_client_verdict() now or later.
	 */
	void (*check)(void *arg, const struct relay_check *check);
	/* The verdict for a ticket is no longer wanted. */
	void (*uncheck)(void *arg, uint32_t ticket);
	/* An event for the log; what: a constant. */
	void (*note)(void *arg, const char *what, const char *object, const char *detail);
	/* A published port is open, or error (an errno) says why it is not. */
	void (*published)(void *arg, const struct relay_publish *which, int error);
	/* The report that was requested is there: relay_client_report(). */
	void (*reported)(void *arg);
	/* The relay has ended, or was ended since it violated the protocol. Once. why: one line. */
	void (*died)(void *arg, const char *why);
};

/* Starts a relay. 0, or -errno with a message. */
int relay_client_create(struct relay_client **out, struct loop *loop,
			const struct relay_client_config *config,
			const struct relay_client_ops *ops, void *arg, struct err *err);

/*
 * The same with a relay that runs already, behind two sockets of link_pair(), which it takes (also
 * on failure). pid 0: it is no child of this process.
 */
int relay_client_attach(struct relay_client **out, struct loop *loop, int frames_fd,
			int messages_fd, pid_t pid, const struct relay_client_config *config,
			const struct relay_client_ops *ops, void *arg, struct err *err);

/*
 * Ends the relay. First it forgets its flows, and what it then has for the log is taken
 * (ops->note()); a relay that does not end within a second is killed. NULL is harmless.
 */
void relay_client_destroy(struct relay_client *client);

/* --- frames ----------------------------------------------------------------------------------- */

/* Whether a frame will be taken: the relay is ready and keeps up. */
bool relay_client_has_room(const struct relay_client *client);

/* A frame of the guest; dropped unless relay_client_has_room(). */
void relay_client_send(struct relay_client *client, const uint8_t header[RELAY_CLIENT_HEADER],
		       const uint8_t *frame, size_t length);

/*
 * Between a turn's begin and its end short frames are gathered into one message, which leaves at
 * the end at the latest; without a turn each frame leaves at once.
 */
void relay_client_turn(struct relay_client *client, bool begins);

/* The owner takes frames again. */
void relay_client_resume(struct relay_client *client);

/* --- messages --------------------------------------------------------------------------------- */

/* What is to hold from now on. If the relay does not keep up, the latest state is sent later. */
void relay_client_set_card(struct relay_client *client, const struct relay_card *card);
void relay_client_set_guest_time(struct relay_client *client, bool held);
/* A relay that can't be given the policy is ended, as it would go on with its former one. */
void relay_client_set_policy(struct relay_client *client, const struct policy *policy);

/* The host's resolvers: before the first verdict about a name, and when they have changed. */
void relay_client_set_resolvers(struct relay_client *client,
				const struct resolver_servers *servers);

/* The guest is another one: the relay ends all flows. */
void relay_client_forget(struct relay_client *client);

/* The verdict for a ticket; ignored if it is no longer wanted. approved: a person allowed it. */
void relay_client_verdict(struct relay_client *client, uint32_t ticket, bool allowed,
			  bool approved);

/*
 * Opens a port of the host; ops->published() follows. 0; -EBUSY: too many are being opened, or the
 * relay does not keep up; -EPIPE: it has ended. unpublish: closes it and its connections.
 */
int relay_client_publish(struct relay_client *client, const struct relay_publish *which);
int relay_client_unpublish(struct relay_client *client, const struct relay_publish *which);

/* Requests a report; no effect while one is on its way. */
void relay_client_request_report(struct relay_client *client);

/* The last report; NULL: there was none yet. Valid until the loop runs again. */
const struct relay_client_report *relay_client_report(const struct relay_client *client);

#endif
