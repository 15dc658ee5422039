/* SPDX-License-Identifier: Apache-2.0 */
/* Random hostile guests against a TCP endpoint of the relay, with fixed seeds. */
#include "tests/support/relay_tcp.h"
#include "tests/support/unit.h"

#define RUNS  3000
#define STEPS 200

static unsigned number_below(void *arg, unsigned limit)
{
	uint64_t *state = arg;

	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (unsigned)(*state >> 33) % limit;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

START_TEST(the_owner_reads_the_first_bytes_only)
{
	uint64_t seed, state;
	struct source source = {.below = number_below, .ended = never, .arg = &state};
	const char *problem;

	for (seed = 1; seed <= RUNS; seed++) {
		state = seed * UINT64_C(0x9e3779b97f4a7c15);
		problem = relay_tcp_hostile(&source, STEPS);
		ck_assert_msg(!problem, "seed %llu: %s", (unsigned long long)seed, problem);
	}
}
END_TEST

UNIT_MAIN("relay_tcp_hostile", the_owner_reads_the_first_bytes_only)
