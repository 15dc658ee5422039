/* SPDX-License-Identifier: Apache-2.0 */
/* What listen.c and listen_udp.c share. */
#ifndef CORDON_RELAY_LISTEN_INTERNAL_H
#define CORDON_RELAY_LISTEN_INTERNAL_H

#include "vmm/relay/listen.h"

struct publication {
	struct relay *relay;
	struct relay_publish which;
	uint32_t number; /* relay_flow.published of its flows */
	struct loop_source socket;
	unsigned family; /* of the socket */
	bool full;	 /* UDP: the link to the guest had no room */
};

struct publishing {
	struct publication *port[RELAY_PUBLISHED];
	unsigned count;
	uint32_t last_number;
	bool resting; /* there were no descriptors for clients */
	struct loop_timer rest;
};

/* Watches the socket for what may be taken from it now. */
void publication_watch(struct publication *publication);

/*
 * A client's address as the guest sees it. False: an address that would be another one there, or
 * that no reply could go to.
 */
bool publication_client(const struct sockaddr_storage *from, struct ip_address *peer,
			uint16_t *port);

/* --- listen_udp.c --- */

/* Options of a UDP socket. 0 or -errno. */
int publication_udp_options(int fd, unsigned family);
/* Reads a batch of datagrams. */
void publication_read(struct publication *publication);

#endif
