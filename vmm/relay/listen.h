/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports: sockets of the host whose clients reach a port of the guest. The user decides
 * which ports are published, so no rule is asked about a client; but each is logged by the monitor
 * before the guest learns of it (decide_check(), POLICY_LISTEN).
 *
 * TCP: a listener; its connections go to stream_accept(). UDP: one socket, which all clients share;
 * each client is a flow, and replies leave from the address that it has sent to. A client that the
 * guest has not replied to makes room for others first.
 *
 * Nothing is accepted or read before the guest has its addresses (relay_card.configured): clients
 * wait in the backlog.
 */
#ifndef CORDON_RELAY_LISTEN_H
#define CORDON_RELAY_LISTEN_H

#include "vmm/relay/relay.h"

#define PUBLISHING_BACKLOG 128 /* connections that wait to be accepted, at each port */
#define PUBLISHING_ACCEPTS 16  /* before it is another source's turn */
#define PUBLISHING_REST_MS 100 /* without descriptors or memory */

/* Sets relay->publishing, which is NULL at first. 0 or -errno. */
int publishing_create(struct relay *relay);
/* Closes all ports and ends their flows; before relay_flows_destroy(). Harmless without any. */
void publishing_destroy(struct relay *relay);

/*
 * Opens a port. Address family 0: on all addresses, by one socket for IPv6 and IPv4, or for IPv4
 * alone on a host without IPv6. 0; -EADDRINUSE, -EACCES, -EADDRNOTAVAIL and the like from bind(2);
 * -EINVAL: a port of 0, or another family; -ENOSPC: RELAY_PUBLISHED are open.
 */
int publishing_open(struct relay *relay, const struct relay_publish *which);

/* Closes it, with its connections and the flows of its clients. 0, or -ENOENT. */
int publishing_close(struct relay *relay, const struct relay_publish *which);

/* relay->card has changed. */
void publishing_card(struct relay *relay);

/* The link to the guest has room again; datagram_resume() calls it. */
void publishing_resume(struct relay *relay);

#endif
