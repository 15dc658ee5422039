/* SPDX-License-Identifier: Apache-2.0 */
/* What programs of the sandbox are told of denials, and what they propose. */
#include <errno.h>
#include <string.h>

#include "vmm/agent/internal.h"
#include "vmm/base/bytes.h"

int agent_channel_set_denials(struct agent_channel *channel, const void *text, size_t length,
			      const struct agent_reply *reply)
{
	if (length > AGENT_PAYLOAD_MAX)
		return -EINVAL;
	if (channel->ready && !(channel->features & AGENT_FEATURE_DENIALS))
		return -EOPNOTSUPP;
	return channel_request(channel, AGENT_DENIALS, text, length, reply);
}

bool proposal_frame(struct agent_channel *channel, struct agent_header header,
		    const uint8_t *payload)
{
	size_t rule = 0;

	if (!channel->hooks.proposed ||
	    (header.type == AGENT_PROPOSE && !agent_propose_is_whole(payload, header.length)))
		return channel_malformed(channel, header);
	if (header.type == AGENT_WITHDRAW) {
		channel->hooks.withdrawn(channel->arg, header.id);
		return true;
	}
	rule = agent_get16(payload + AGENT_PROPOSE_AT_RULE);
	payload += AGENT_PROPOSE_SIZE;
	channel->hooks.proposed(channel->arg, header.id, (const char *)payload, rule,
				(const char *)payload + rule,
				header.length - AGENT_PROPOSE_SIZE - rule);
	return true;
}

int agent_channel_proposed(struct agent_channel *channel, uint32_t number,
			   enum agent_proposed result, const char *text)
{
	uint8_t payload[AGENT_PROPOSED_SIZE + AGENT_MESSAGE_MAX];
	size_t length = min_u64(strlen(text), AGENT_MESSAGE_MAX);

	if (!channel->ready)
		return -ENOTCONN;
	agent_put32(payload + AGENT_PROPOSED_AT_RESULT, result);
	memcpy(payload + AGENT_PROPOSED_SIZE, text, length);
	return channel_send(channel, AGENT_CHANNEL_QUEUE_MAX - QUEUE_RESERVE, AGENT_PROPOSED, 0,
			    number, payload, AGENT_PROPOSED_SIZE + length);
}
