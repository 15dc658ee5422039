/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the agent about what the guest's kernel keeps of shares: one at a time, none lost. */
#include <errno.h>

#include "tests/unit/agent_channel_common.h"
#include "vmm/sandbox/shares_internal.h"

#define SYNC AGENT_FILES_SYNC
#define DROP AGENT_FILES_DROP

static struct fake *fake;
static struct shares shares;
static struct loop *loop;
static unsigned flushed;

static void on_flushed(void *arg)
{
	(void)arg;
	flushed++;
}

static void begin(void)
{
	fake = with_features(AGENT_FEATURE_VIRTIOFS);
	ck_assert_int_eq(loop_create(&loop), 0);
	/* Only whether there is a server counts here. */
	shares = (struct shares){.client = (struct files_client *)&shares, .loop = loop};
	flushed = 0;
}

static void end(void)
{
	shares_flush_end(&shares);
	fake_destroy(fake);
	loop_destroy(loop);
}

/* The flags of the request that was sent since the last call; 0: none was. */
static uint32_t requested(void)
{
	uint32_t flags = 0;

	if (fake->out_length > 0) {
		ck_assert_uint_eq(fake->out_length, AGENT_HEADER_SIZE + AGENT_FILES_SIZE);
		ck_assert_uint_eq(agent_get_header(fake->out).type, AGENT_FILES);
		flags = agent_get32(fake->out + AGENT_HEADER_SIZE + AGENT_FILES_AT_FLAGS);
	}
	fake->out_length = 0;
	return flags;
}

static void reply(uint32_t id)
{
	put32(fake, AGENT_RESULT, id, 0);
	agent_channel_readable(fake->host.channel);
}

static void flush(void)
{
	shares_flush(&shares, fake->host.channel, on_flushed, NULL);
}

START_TEST(what_is_wanted_meanwhile_follows)
{
	begin();
	shares_drop(&shares, fake->host.channel);
	ck_assert_uint_eq(requested(), DROP);
	/* The agent would refuse both. */
	shares_drop(&shares, fake->host.channel);
	flush();
	ck_assert_uint_eq(requested(), 0);
	reply(1);
	ck_assert_uint_eq(requested(), SYNC | DROP);
	ck_assert_uint_eq(flushed, 0);
	reply(2);
	ck_assert_uint_eq(flushed, 1);
	ck_assert_uint_eq(requested(), 0);
	end();
}
END_TEST

START_TEST(a_flush_waits_for_its_own_reply)
{
	begin();
	flush();
	ck_assert_uint_eq(requested(), SYNC);
	shares_flush_end(&shares);
	flush();
	reply(1);
	ck_assert_uint_eq(flushed, 0);
	ck_assert_uint_eq(requested(), SYNC);
	reply(2);
	ck_assert_uint_eq(flushed, 1);
	end();
}
END_TEST

START_TEST(a_flush_ends_with_the_connection)
{
	begin();
	shares_drop(&shares, fake->host.channel);
	flush();
	ck_assert_uint_eq(requested(), DROP);
	agent_channel_closed(fake->host.channel);
	ck_assert_uint_eq(flushed, 1);
	ck_assert_uint_eq(requested(), 0);
	end();
}
END_TEST

START_TEST(without_a_server_nothing_is_flushed)
{
	begin();
	shares.client = NULL;
	flush();
	ck_assert_uint_eq(flushed, 1);
	ck_assert_uint_eq(requested(), 0);
	end();
}
END_TEST

UNIT_MAIN("shares_guest", what_is_wanted_meanwhile_follows, a_flush_waits_for_its_own_reply,
	  a_flush_ends_with_the_connection, without_a_server_nothing_is_flushed)
