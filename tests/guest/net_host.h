/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's side of the network card's tests: behind the card a peer that echoes what is sent
 * to port 7 and accepts connections to port 80. Packets to other addresses are refused, each with
 * an ICMP error. For a process that runs one test.
 */
#ifndef CORDON_TEST_NET_HOST_H
#define CORDON_TEST_NET_HOST_H

#include "tests/guest/hostile.h"
#include "tests/support/net_frames.h"

#define NET_FORBIDDEN	(NET_PEER + 1)
#define NET_ECHO_PORT	7
#define NET_OPEN_PORT	80
#define NET_SILENT_PORT 9
#define NET_FIRST_PORT	40000u /* plus an exchange's number: the guest's port */

/* Bytes before a frame in the rings, and a flag in them. */
#define NET_HEADER     12u
#define NET_NEEDS_CSUM 1u

/* The guest's receive buffers, RING_SIZE of them. */
#define NET_RX(n)     (HOSTILE_BUFFERS + 0x100000u + 0x1000u * (n))
#define NET_RX_LENGTH 0x1000u

/*
 * For a test's setup and tell. The latter returns the number of the latest exchange whose reply is
 * in a receive buffer of the guest: the first two bytes of a datagram, or for TCP the port minus
 * NET_FIRST_PORT.
 */
void net_host_setup(struct hostile *h);
uint64_t net_host_tell(struct hostile *h);

/* Frames of the guest that have come out of the card. */
struct net_host_counts {
	uint64_t taken;		     /* all */
	uint64_t malformed, refused; /* to other addresses */
	uint64_t passed;	     /* to the peer */
};

const struct net_host_counts *net_host_counts(void);

#endif
