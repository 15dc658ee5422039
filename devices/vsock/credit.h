/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credit (virtio 1.2, section 5.10.6.3): each side announces the size of its receive buffer
 * (buf_alloc) and how many bytes it has taken out of it since the start (fwd_cnt). All counters are
 * 32 bits wide and wrap; only their differences mean anything.
 */
#ifndef CORDON_VSOCK_CREDIT_H
#define CORDON_VSOCK_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

/* What we may send: the guest's receive window. */
struct vsock_credit {
	uint32_t sent;			     /* bytes sent since the start */
	uint32_t peer_alloc, peer_forwarded; /* as the guest last announced */
};

static inline uint32_t vsock_credit_in_flight(const struct vsock_credit *credit)
{
	return credit->sent - credit->peer_forwarded;
}

/* Bytes that may be sent now. Also 0 if the guest has shrunk its buffer below its contents. */
static inline uint32_t vsock_credit_free(const struct vsock_credit *credit)
{
	uint32_t in_flight = vsock_credit_in_flight(credit);

	return in_flight < credit->peer_alloc ? credit->peer_alloc - in_flight : 0;
}

/*
 * Updates the credit from a packet. fwd_cnt only moves forward, and never beyond the bytes sent:
 * stale values (packets of several senders in the guest may overtake each other) and false ones are
 * ignored.
 */
static inline void vsock_credit_told(struct vsock_credit *credit, uint32_t buf_alloc,
				     uint32_t fwd_cnt)
{
	credit->peer_alloc = buf_alloc;
	if (fwd_cnt - credit->peer_forwarded <= vsock_credit_in_flight(credit))
		credit->peer_forwarded = fwd_cnt;
}

/* What the guest may send: our receive window. */
struct vsock_window {
	uint32_t received, forwarded;	     /* bytes since the start */
	uint32_t alloc;			     /* size of the buffer in bytes */
	uint32_t told_forwarded, told_alloc; /* as last announced to the guest */
};

/* Bytes that the guest may still send without breaking the rules. */
static inline uint32_t vsock_window_room(const struct vsock_window *window)
{
	return window->alloc - (window->received - window->forwarded);
}

/* Whether to send an update: the guest has used half or more of the window last announced to it. */
static inline bool vsock_window_half_used(const struct vsock_window *window)
{
	uint32_t untold = window->forwarded - window->told_forwarded;

	return untold > 0 && untold >= window->told_alloc / 2;
}

/* A packet that announces the window has been sent. */
static inline void vsock_window_was_told(struct vsock_window *window)
{
	window->told_forwarded = window->forwarded;
	window->told_alloc = window->alloc;
}

#endif
