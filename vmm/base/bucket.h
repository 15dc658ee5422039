/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token bucket: a number of tokens a second, and after a pause a burst, by default one second's
 * worth. The cost of a request is known only when it is taken, so one request may overdraw the
 * bucket; the next one waits until the debt is paid off.
 */
#ifndef CORDON_BASE_BUCKET_H
#define CORDON_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint64_t rate;	     /* tokens a second; 0: no limit */
	uint64_t burst;	     /* capacity in tokens */
	int64_t tokens;	     /* negative: overdrawn */
	uint64_t counted_ns; /* time of the last refill */
};

/*
 * Starts with a full bucket whose capacity is one second's worth of tokens. Times are those of
 * loop_now_ns(). rate is capped at BUCKET_RATE_MAX.
 */
#define BUCKET_RATE_MAX (UINT64_C(1) << 40)
void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t now_ns);

/* As bucket_init(), with a capacity of burst tokens, also capped at BUCKET_RATE_MAX. */
void bucket_init_burst(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ns);

/* Refills the bucket. Returns the nanoseconds until a request may take tokens; 0: now. */
uint64_t bucket_wait_ns(struct bucket *bucket, uint64_t now_ns);

/* Takes amount tokens, more than there are if need be. */
void bucket_take(struct bucket *bucket, uint64_t amount);

/* Takes one, if there is one: false takes nothing. */
bool bucket_try(struct bucket *bucket, uint64_t now_ns);

/* How much may be taken now without a debt; not for a bucket without a limit. */
uint64_t bucket_available(struct bucket *bucket, uint64_t now_ns);

#endif
