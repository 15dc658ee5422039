/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: limits events to a rate, and to a burst after a pause. */
#ifndef CORDON_NET_RATE_H
#define CORDON_NET_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
	uint32_t per_second, burst; /* constant; burst at least 1 */
	uint64_t used_ns;	    /* the time used up so far: at most a burst ahead of now */
};

/* Takes a token; false if there is none. */
static inline bool rate_take(struct rate *rate, uint64_t now_ns)
{
	uint64_t each = UINT64_C(1000000000) / rate->per_second;

	if (rate->used_ns < now_ns)
		rate->used_ns = now_ns;
	if (rate->used_ns - now_ns > each * (rate->burst - 1))
		return false;
	rate->used_ns += each;
	return true;
}

#endif
