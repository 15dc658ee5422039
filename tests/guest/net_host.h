/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's side of the tests of the network card: the filter behind it, and behind that a peer
 * that answers: what is sent to port 7 comes back, and a connection to port 80 is accepted. No
 * other address is allowed. For a process that runs one test.
 */
#ifndef CORDON_TEST_NET_HOST_H
#define CORDON_TEST_NET_HOST_H

#include "tests/guest/hostile.h"
#include "tests/support/net_frames.h"
#include "vmm/net/filter.h"

#define NET_FORBIDDEN	(NET_PEER + 1)
#define NET_ECHO_PORT	7
#define NET_OPEN_PORT	80
#define NET_SILENT_PORT 9
#define NET_FIRST_PORT	40000u /* of the guest's connections: and the exchange's number */
#define NET_TYPE_TIME	0x88b5 /* of a frame that says: a minute has passed */

/* Bytes before a frame in the rings, and a flag in them. */
#define NET_HEADER     12u
#define NET_NEEDS_CSUM 1u

#define NET_SYN 2u
#define NET_ACK 16u

/* The guest's receive buffers, RING_SIZE of them. */
#define NET_RX(n)     (HOSTILE_BUFFERS + 0x100000u + 0x1000u * (n))
#define NET_RX_LENGTH 0x1000u

/* For a test's setup and tell: the latter is the number of the latest exchange whose answer lies in
 * a receive buffer of the guest (the datagram's first two bytes; its port above NET_FIRST_PORT). */
void net_host_setup(struct hostile *h);
uint64_t net_host_tell(struct hostile *h);

/* Frames of the guest that have come out of the card. */
uint64_t net_host_taken(void);
void net_host_stats(struct filter_stats *stats);

#endif
