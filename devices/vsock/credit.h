/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credit (virtio 1.2, section 5.10.6.3): each side tells how large its receive buffer is
 * (buf_alloc) and how many bytes it has taken out of it since the beginning (fwd_cnt). All counters
 * are 32 bits wide and wrap; only their differences mean something.
 */
#ifndef CORDON_VSOCK_CREDIT_H
#define CORDON_VSOCK_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

/* What we may send: the guest's receive window. */
struct vsock_credit {
	uint32_t sent;			     /* bytes sent since the beginning */
	uint32_t peer_alloc, peer_forwarded; /* as the guest last told */
};

static inline uint32_t vsock_credit_in_flight(const struct vsock_credit *credit)
{
	return credit->sent - credit->peer_forwarded;
}

/* Bytes that may be sent now. 0 also when the guest has made its buffer smaller than what it holds.
 */
static inline uint32_t vsock_credit_free(const struct vsock_credit *credit)
{
	uint32_t in_flight = vsock_credit_in_flight(credit);

	return in_flight < credit->peer_alloc ? credit->peer_alloc - in_flight : 0;
}

/*
 * Takes what a packet tells. fwd_cnt only ever moves forward, and not beyond what was sent: an
 * older one (packets of several senders in the guest may overtake each other) or a lie is ignored.
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
	uint32_t received, forwarded;	     /* bytes since the beginning */
	uint32_t alloc;			     /* bytes that we keep room for */
	uint32_t told_forwarded, told_alloc; /* what the guest knows */
};

/* Bytes that the guest may still send without breaking the rules. */
static inline uint32_t vsock_window_room(const struct vsock_window *window)
{
	return window->alloc - (window->received - window->forwarded);
}

/* Whether the guest should be told: it believes that half of the window or more is used up. */
static inline bool vsock_window_half_used(const struct vsock_window *window)
{
	uint32_t untold = window->forwarded - window->told_forwarded;

	return untold > 0 && untold >= window->told_alloc / 2;
}

/* A packet that tells the window is on its way. */
static inline void vsock_window_was_told(struct vsock_window *window)
{
	window->told_forwarded = window->forwarded;
	window->told_alloc = window->alloc;
}

#endif
