/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket: so many a second, and up to a second's worth at once after a pause. What a
 * request costs is known only when it is taken, so a bucket may be overdrawn by one request and is
 * then waited for.
 */
#ifndef CORDON_BASE_BUCKET_H
#define CORDON_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint64_t rate;	/* a second; 0: no limit */
	uint64_t burst; /* the most that there may be of tokens */
	int64_t tokens;
	uint64_t counted_ns; /* when they were counted last */
};

/* Full, with a second's worth. rate is cut to BUCKET_RATE_MAX. */
#define BUCKET_RATE_MAX (UINT64_C(1) << 40)
void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t now_ns);

/* Full, with another burst than a second's worth; also cut to BUCKET_RATE_MAX. */
void bucket_init_burst(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ns);

/* Nanoseconds until something may be taken; 0: now. */
uint64_t bucket_wait_ns(struct bucket *bucket, uint64_t now_ns);

void bucket_take(struct bucket *bucket, uint64_t amount);

#endif
