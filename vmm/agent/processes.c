/* SPDX-License-Identifier: Apache-2.0 */
/* The list of the sandbox's processes in a PROCESS_LIST: checked whole, then taken apart. */
#include <errno.h>
#include <string.h>

#include "vmm/agent/internal.h"

static bool entry_check(const uint8_t *at)
{
	char state = (char)at[AGENT_PROCESS_AT_STATE];

	return agent_get32(at + AGENT_PROCESS_AT_PID) != 0 &&
	       agent_get32(at + AGENT_PROCESS_AT_PID) <= INT32_MAX &&
	       agent_get32(at + AGENT_PROCESS_AT_PARENT) <= INT32_MAX &&
	       agent_get32(at + AGENT_PROCESS_AT_UID) <= AGENT_SANDBOX_ID_MAX &&
	       agent_get32(at + AGENT_PROCESS_AT_THREADS) <= INT32_MAX &&
	       agent_get64(at + AGENT_PROCESS_AT_CPU_US) <= INT64_MAX &&
	       agent_get64(at + AGENT_PROCESS_AT_RESIDENT_KIB) <= INT64_MAX &&
	       agent_get64(at + AGENT_PROCESS_AT_STARTED_US) <= INT64_MAX && state != '\0' &&
	       strchr(AGENT_PROCESS_STATES, state) &&
	       at[AGENT_PROCESS_AT_FLAGS] <= AGENT_PROCESS_NAME &&
	       agent_get16(at + AGENT_PROCESS_AT_LENGTH) <= AGENT_PROCESS_TEXT_MAX;
}

bool processes_check(struct agent_processes *list, const uint8_t *payload, size_t length)
{
	uint32_t flags = agent_get32(payload + AGENT_LIST_AT_FLAGS), i;
	size_t at = AGENT_LIST_SIZE, text;

	*list = (struct agent_processes){
		.now_us = agent_get64(payload + AGENT_LIST_AT_NOW_US),
		.count = agent_get32(payload + AGENT_LIST_AT_COUNT),
		.truncated = flags & AGENT_LIST_TRUNCATED,
		.at = payload + AGENT_LIST_SIZE,
	};
	if (flags & ~AGENT_LIST_TRUNCATED || list->count > AGENT_PROCESSES_MAX ||
	    list->now_us > INT64_MAX)
		return false;
	for (i = 0; i < list->count; i++) {
		if (length - at < AGENT_PROCESS_SIZE || !entry_check(payload + at))
			return false;
		text = agent_get16(payload + at + AGENT_PROCESS_AT_LENGTH);
		at += AGENT_PROCESS_SIZE;
		if (length - at < text)
			return false;
		at += text;
	}
	return at == length;
}

bool agent_processes_next(struct agent_processes *list, struct agent_process *process)
{
	const uint8_t *at = list->at;

	if (list->count == 0)
		return false;
	*process = (struct agent_process){
		.pid = agent_get32(at + AGENT_PROCESS_AT_PID),
		.parent = agent_get32(at + AGENT_PROCESS_AT_PARENT),
		.uid = agent_get32(at + AGENT_PROCESS_AT_UID),
		.threads = agent_get32(at + AGENT_PROCESS_AT_THREADS),
		.cpu_us = agent_get64(at + AGENT_PROCESS_AT_CPU_US),
		.resident_kib = agent_get64(at + AGENT_PROCESS_AT_RESIDENT_KIB),
		.started_us = agent_get64(at + AGENT_PROCESS_AT_STARTED_US),
		.state = (char)at[AGENT_PROCESS_AT_STATE],
		.is_name = at[AGENT_PROCESS_AT_FLAGS] & AGENT_PROCESS_NAME,
		.text = (const char *)at + AGENT_PROCESS_SIZE,
		.length = agent_get16(at + AGENT_PROCESS_AT_LENGTH),
	};
	list->at = at + AGENT_PROCESS_SIZE + process->length;
	list->count--;
	return true;
}

int agent_channel_processes(struct agent_channel *channel,
			    void (*done)(void *arg, int error, struct agent_processes *list),
			    void *arg)
{
	const struct agent_request wanted = {.reply = {.arg = arg}, .listed = done};

	if (channel->ready && !(channel->features & AGENT_FEATURE_PROCESSES))
		return -EOPNOTSUPP;
	return channel_send_request(channel, AGENT_PROCESSES, NULL, 0, &wanted);
}
