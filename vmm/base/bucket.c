/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/bucket.h"

#include "vmm/base/bytes.h"

#define SECOND_NS 1000000000u

void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t now_ns)
{
	bucket_init_burst(bucket, rate, rate, now_ns);
}

void bucket_init_burst(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ns)
{
	burst = min_u64(burst, BUCKET_RATE_MAX);
	*bucket = (struct bucket){
		.rate = min_u64(rate, BUCKET_RATE_MAX),
		.burst = burst,
		.tokens = (int64_t)burst,
		.counted_ns = now_ns,
	};
}

/* Time that has not yet earned a whole token is kept for the next refill. */
static void refill(struct bucket *bucket, uint64_t now_ns)
{
	/* A caller that read the clock earlier than the last one earns nothing. */
	uint64_t passed = now_ns > bucket->counted_ns ? now_ns - bucket->counted_ns : 0, earned;

	/* 128 bits: a debt may be paid off over hours. */
	earned = (uint64_t)(((unsigned __int128)passed * bucket->rate) / SECOND_NS);
	if (earned == 0)
		return;
	if (earned >= (uint64_t)((int64_t)bucket->burst - bucket->tokens)) {
		bucket->tokens = (int64_t)bucket->burst;
		bucket->counted_ns = now_ns;
		return;
	}
	bucket->tokens += (int64_t)earned;
	/* Rounded up: time is never counted twice. */
	bucket->counted_ns +=
		(uint64_t)(((unsigned __int128)earned * SECOND_NS + bucket->rate - 1) /
			   bucket->rate);
}

uint64_t bucket_wait_ns(struct bucket *bucket, uint64_t now_ns)
{
	if (bucket->rate == 0)
		return 0;
	refill(bucket, now_ns);
	if (bucket->tokens > 0)
		return 0;
	return (uint64_t)((unsigned __int128)(1 - bucket->tokens) * SECOND_NS / bucket->rate) + 1;
}

void bucket_take(struct bucket *bucket, uint64_t amount)
{
	if (bucket->rate > 0)
		bucket->tokens -= (int64_t)min_u64(amount, BUCKET_RATE_MAX);
}

bool bucket_try(struct bucket *bucket, uint64_t now_ns)
{
	if (bucket_wait_ns(bucket, now_ns) > 0)
		return false;
	bucket_take(bucket, 1);
	return true;
}

uint64_t bucket_available(struct bucket *bucket, uint64_t now_ns)
{
	refill(bucket, now_ns);
	return bucket->tokens > 0 ? (uint64_t)bucket->tokens : 0;
}
