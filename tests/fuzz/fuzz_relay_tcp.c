/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP endpoint of the relay between a hostile guest and an owner that does anything. The bytes
 * that the owner reads must be those of the model, in which the first byte of each sequence number
 * wins; what the guest gets must be what the owner wrote.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/relay_tcp.h"

#define STEPS 200

static unsigned number_below(void *arg, unsigned limit)
{
	return fuzz_below(arg, limit);
}

static bool script_ended(void *arg)
{
	return fuzz_ended(arg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	struct source source = {.below = number_below, .ended = script_ended, .arg = &script};
	const char *problem = relay_tcp_hostile(&source, STEPS);

	if (problem)
		fprintf(stderr, "%s\n", problem);
	FUZZ_REQUIRE(!problem);
	return 0;
}
