/* SPDX-License-Identifier: Apache-2.0 */
/* The request for the filter of system calls. */
#include <errno.h>
#include <linux/filter.h>

#include "vmm/agent/internal.h"

bool agent_channel_filters(const struct agent_channel *channel)
{
	return channel->ready && (channel->features & AGENT_FEATURE_FILTER);
}

int agent_channel_set_filter(struct agent_channel *channel, const struct sock_filter *code,
			     size_t count, bool memfd_noexec, const struct agent_reply *reply)
{
	uint8_t payload[AGENT_FILTER_SIZE + AGENT_FILTER_MAX * AGENT_FILTER_CODE], *at = payload;
	size_t i;

	if (count < 1 || count > AGENT_FILTER_MAX)
		return -EINVAL;
	if (channel->ready && !(channel->features & AGENT_FEATURE_FILTER))
		return -EOPNOTSUPP;
	agent_put32(at + AGENT_FILTER_AT_FLAGS, memfd_noexec ? AGENT_FILTER_MEMFD_NOEXEC : 0);
	at += AGENT_FILTER_SIZE;
	for (i = 0; i < count; i++, at += AGENT_FILTER_CODE) {
		agent_put16(at, code[i].code);
		at[2] = code[i].jt;
		at[3] = code[i].jf;
		agent_put32(at + 4, code[i].k);
	}
	return channel_request(channel, AGENT_FILTER, payload, (size_t)(at - payload), reply);
}
