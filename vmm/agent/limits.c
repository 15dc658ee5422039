/* SPDX-License-Identifier: Apache-2.0 */
/* The request LIMITS. */
#include <errno.h>

#include "vmm/agent/internal.h"

int agent_channel_set_limits(struct agent_channel *channel, const struct agent_limits *limits,
			     const struct agent_reply *reply)
{
	uint8_t payload[AGENT_LIMITS_SIZE_MOST];
	bool more = !channel->ready || (channel->features & AGENT_FEATURE_FILES_CPU);
	bool most = !channel->ready || (channel->features & AGENT_FEATURE_MEMORY);

	if (channel->ready && !(channel->features & AGENT_FEATURE_LIMITS))
		return -EOPNOTSUPP;
	if (!more && (limits->open_files || limits->cpu_millis))
		return -EOPNOTSUPP;
	if (!most && limits->memory_without)
		return -EOPNOTSUPP;
	agent_put32(payload + AGENT_LIMITS_AT_PROCESSES, limits->processes);
	agent_put32(payload + AGENT_LIMITS_AT_FILES, limits->open_files);
	agent_put32(payload + AGENT_LIMITS_AT_CPU, limits->cpu_millis);
	agent_put32(payload + AGENT_LIMITS_AT_MEMORY, limits->memory_without);
	return channel_request(channel, AGENT_LIMITS, payload,
			       most   ? AGENT_LIMITS_SIZE_MOST
			       : more ? AGENT_LIMITS_SIZE_MORE
				      : AGENT_LIMITS_SIZE,
			       reply);
}
