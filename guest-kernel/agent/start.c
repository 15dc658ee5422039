/* SPDX-License-Identifier: Apache-2.0 */
/* START: checked as a whole, then split into the arrays that execve(2) needs. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Takes one string off *at; NULL if it does not end within the payload. */
static char *take(uint8_t **at, uint8_t *end)
{
	char *string = (char *)*at;
	uint8_t *zero = memchr(*at, '\0', (size_t)(end - *at));

	if (!zero)
		return NULL;
	*at = zero + 1;
	return string;
}

/* Enough for most commands. Only one START at a time is in use. */
static char *few[64];

void start_free(struct start *start)
{
	if (start->arguments != few)
		free(start->arguments);
	start->arguments = NULL;
}

int start_parse(struct start *start, uint8_t *payload, size_t length)
{
	uint8_t *at = payload + AGENT_START_SIZE, *end = payload + length;
	uint32_t arguments, variables, i;

	*start = (struct start){0};
	if (length < AGENT_START_SIZE || length > AGENT_START_MAX)
		return -EINVAL;
	start->flags = agent_get32(payload + AGENT_START_AT_FLAGS);
	start->uid = agent_get32(payload + AGENT_START_AT_UID);
	start->gid = agent_get32(payload + AGENT_START_AT_GID);
	start->rows = agent_get16(payload + AGENT_START_AT_ROWS);
	start->columns = agent_get16(payload + AGENT_START_AT_COLUMNS);
	arguments = agent_get32(payload + AGENT_START_AT_ARGUMENTS);
	variables = agent_get32(payload + AGENT_START_AT_VARIABLES);
	if ((start->flags & ~AGENT_START_TERMINAL) || start->uid > AGENT_SANDBOX_ID_MAX ||
	    start->gid > AGENT_SANDBOX_ID_MAX || arguments == 0 ||
	    arguments > AGENT_START_STRINGS_MAX || variables > AGENT_START_STRINGS_MAX - arguments)
		return -EINVAL;
	start->user = take(&at, end);
	start->directory = start->user ? take(&at, end) : NULL;
	if (!start->directory)
		return -EINVAL;
	memset(few, 0, sizeof(few));
	start->arguments = few;
	if (arguments + variables + 2 > sizeof(few) / sizeof(few[0]))
		start->arguments = calloc(arguments + variables + 2, sizeof(char *));
	if (!start->arguments)
		return -ENOMEM;
	start->variables = start->arguments + arguments + 1;
	for (i = 0; i < arguments + variables; i++) {
		char *string = take(&at, end);

		if (!string || (i >= arguments && (string[0] == '=' || !strchr(string, '='))))
			break;
		start->arguments[i < arguments ? i : i + 1] = string;
	}
	if (i < arguments + variables || at != end) {
		start_free(start);
		return -EINVAL;
	}
	return 0;
}
