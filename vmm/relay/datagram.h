/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP and ICMP echo: each flow of the guest has a connected socket of its own (UDP), or a ping
 * socket (echo); the clients of a published UDP port share its socket (listen.h).
 *
 * What the peer's side reports about a datagram reaches the guest as the ICMP error that it stands
 * for. Datagrams that exceed the path's MTU are fragmented by the host, so the guest, which cannot
 * send fragments, never has to.
 */
#ifndef CORDON_RELAY_DATAGRAM_H
#define CORDON_RELAY_DATAGRAM_H

#include <stddef.h>

#include "vmm/base/loop.h"

struct exchange; /* vmm/relay/exchange.h */
struct relay;

/* Datagrams that are kept while the monitor's verdict about their flow is outstanding. */
#define DATAGRAM_KEPT	    64		 /* of all flows */
#define DATAGRAM_KEPT_BYTES (256u << 10) /* of all flows, payload */
#define DATAGRAM_KEPT_FLOW  8		 /* of one */

#define DATAGRAM_BATCH	32 /* read from a socket before it is another's turn */
#define DATAGRAM_RESUME 64 /* flows that go on before it is another source's turn */

/* Echo requests carry little and are few, since they could be a tunnel. */
#define DATAGRAM_ECHO_PAYLOAD 64 /* bytes */
#define DATAGRAM_ECHO_SECOND  20 /* relay.echo_rate: requests a second, with a burst of */
#define DATAGRAM_ECHO_BURST   40

/* Embedded in struct relay. All zero at first; nothing is left once all flows have ended. */
struct datagrams {
	unsigned kept;
	size_t kept_bytes;
	/* flows whose sockets are not read, since the link to the guest had no room */
	struct exchange *first_paused, *last_paused;
	struct loop_task resume;
};

/* The link to the guest has room again: sockets are read on, those of published ports too. */
void datagram_resume(struct relay *relay);

#endif
