/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks of the host, in nanoseconds. */
#ifndef CORDON_BASE_CLOCK_H
#define CORDON_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* The time of a clock that clock_gettime(2) knows. For CLOCK_MONOTONIC see loop_now_ns() too. */
static inline uint64_t clock_now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

#endif
