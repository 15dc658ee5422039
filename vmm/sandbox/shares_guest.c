/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's kernel keeps of shares: written back before a snapshot, dropped when the policy
 * is replaced. The agent handles one such request of a connection at a time and refuses others, so
 * that further ones wait here.
 */
#include <string.h>

#include "vmm/agent/channel.h"
#include "vmm/base/log.h"
#include "vmm/sandbox/shares_internal.h"

static void flushed(struct shares *shares)
{
	void (*done)(void *arg) = shares->flush.done;

	shares_flush_end(shares);
	if (done)
		done(shares->flush.arg);
}

static void flush_late(void *arg)
{
	log_warning("the guest has not written its changes to mapped files of shares in time");
	flushed(arg);
}

static void replied(void *arg, int error);

/* Requests what is wanted, unless the agent is at work: then its reply leads here again. */
static void request_wanted(struct shares *shares)
{
	const struct agent_reply reply = {.done = replied, .arg = shares};
	uint32_t flags = shares->wanted;

	if (shares->requested || !flags)
		return;
	shares->wanted = 0;
	if (agent_channel_files(shares->channel, flags, &reply) == 0)
		shares->requested = flags;
	else if (flags & AGENT_FILES_SYNC)
		flushed(shares);
}

static void replied(void *arg, int error)
{
	struct shares *shares = arg;
	uint32_t flags = shares->requested;

	shares->requested = 0;
	if (error > 0)
		log_warning("the guest keeps what it has cached of shares: %s", strerror(error));
	/* Another agent, or none, would get what is wanted. */
	if (error == AGENT_REPLY_LOST) {
		flags |= shares->wanted;
		shares->wanted = 0;
	}
	/* After a flush that was given up, the present one has a reply of its own. */
	if ((flags & AGENT_FILES_SYNC) && !(shares->wanted & AGENT_FILES_SYNC))
		flushed(shares);
	if (shares->client)
		request_wanted(shares);
}

static void want(struct shares *shares, struct agent_channel *channel, uint32_t flags)
{
	shares->channel = channel;
	shares->wanted |= flags;
	request_wanted(shares);
}

void shares_drop(struct shares *shares, struct agent_channel *channel)
{
	want(shares, channel, AGENT_FILES_DROP);
}

void shares_flush(struct shares *shares, struct agent_channel *channel, void (*done)(void *arg),
		  void *arg)
{
	if (!shares->client) {
		done(arg);
		return;
	}
	shares->flush.done = done;
	shares->flush.arg = arg;
	shares->flush.timer = (struct loop_timer){.expired = flush_late, .arg = shares};
	loop_timer_start(shares->loop, &shares->flush.timer, SHARES_FLUSH_NS);
	want(shares, channel, AGENT_FILES_SYNC);
}

void shares_flush_end(struct shares *shares)
{
	if (!shares->flush.done)
		return;
	loop_timer_stop(shares->loop, &shares->flush.timer);
	shares->flush.done = NULL;
}
