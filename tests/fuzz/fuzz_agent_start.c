/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own parser of START payloads, whose result it passes to execve(). */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "guest-kernel/agent/start.c"

static void check(const struct start *start, const uint8_t *payload, size_t size)
{
	size_t arguments = agent_get32(payload + AGENT_START_AT_ARGUMENTS);
	size_t variables = agent_get32(payload + AGENT_START_AT_VARIABLES);
	size_t i, total = AGENT_START_SIZE;

	total += strlen(start->user) + 1 + strlen(start->directory) + 1;
	for (i = 0; i < arguments; i++)
		total += strlen(start->arguments[i]) + 1;
	FUZZ_REQUIRE(arguments > 0 && !start->arguments[arguments]);
	for (i = 0; i < variables; i++) {
		FUZZ_REQUIRE(strchr(start->variables[i], '=') > start->variables[i]);
		total += strlen(start->variables[i]) + 1;
	}
	FUZZ_REQUIRE(!start->variables[variables]);
	/* every byte is used */
	FUZZ_REQUIRE(total == size);
	FUZZ_REQUIRE(start->uid <= AGENT_SANDBOX_ID_MAX && start->gid <= AGENT_SANDBOX_ID_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct start start;
	uint8_t *payload;

	if (size == 0)
		return 0;
	payload = malloc(size);
	FUZZ_REQUIRE(payload != NULL);
	memcpy(payload, data, size);
	if (start_parse(&start, payload, size) == 0)
		check(&start, payload, size);
	start_free(&start);
	free(payload);
	return 0;
}
