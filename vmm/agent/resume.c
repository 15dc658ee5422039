/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that continue in another process: with an agent that is idle, they have no bytes in
 * flight and nothing that waits for a reply. */
#include <errno.h>
#include <stdlib.h>

#include "vmm/agent/internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/pack.h"

static bool is_idle(const struct agent_channel *channel)
{
	size_t i;

	if (!channel->ready || channel->gone || channel->write_error || channel->credit_unsent ||
	    channel->in_used || channel->out.used || channel->all || channel->commands)
		return false;
	for (i = 0; i < ARRAY_SIZE(channel->requests); i++)
		if (channel->requests[i].number)
			return false;
	return true;
}

bool agent_channel_save(const struct agent_channel *channel, struct pack *to)
{
	if (!is_idle(channel))
		return false;
	pack_u32(to, channel->features);
	pack_u32(to, channel->connections);
	return true;
}

int agent_channel_resume(struct agent_channel *channel, const struct agent_transport *transport,
			 struct unpack *from)
{
	uint32_t features = unpack_u32(from), connections = unpack_u32(from);
	int ret;

	if (from->failed)
		return -EINVAL;
	ret = agent_channel_attach(channel, transport);
	if (ret < 0)
		return ret;
	channel->features = features;
	channel->connections = connections;
	channel->ready = channel->resumed = true;
	return 0;
}

void channel_resumed(struct agent_channel *channel)
{
	const struct agent_info info = {
		.major = AGENT_VERSION_MAJOR,
		.minor = AGENT_VERSION_MINOR,
		.connections = channel->connections,
		.features = channel->features,
		.build = CORDON_VERSION,
	};

	channel->resumed = false;
	if (channel->hooks.ready)
		channel->hooks.ready(channel->arg, &info);
}
