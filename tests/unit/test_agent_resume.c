/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a template's agent: saved when the agent is idle, continued in another machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "vmm/base/pack.h"
#include "vmm/machine/agent_link.h"
#include "vmm/machine/machine.h"

#define GUEST 1023u

/* A machine of which only the vsock device and the agent's channel exist. */
struct half {
	struct fake_vsock fake;
	struct machine machine;
	unsigned ready, replies;
	int error;
};

static struct half old, new;
static struct fake_packet packet;

static void on_ready(void *arg)
{
	((struct half *)arg)->ready++;
}

static void on_reply(void *arg, int error)
{
	((struct half *)arg)->replies++;
	((struct half *)arg)->error = error;
}

static const struct machine_ops machine_ops = {.agent_ready = on_ready};

static void begin(struct half *half)
{
	struct err err;

	memset(half, 0, sizeof(*half));
	fake_vsock_begin(&half->fake, false);
	fake_vsock_give(&half->fake, 8);
	half->machine = (struct machine){
		.loop = half->fake.loop, .ops = &machine_ops, .ops_arg = half, .restored = true};
	half->machine.devices.vsock = half->fake.vsock;
	ck_assert_int_eq(agent_link_create(&half->machine, &err), 0);
}

static void end(struct half *half)
{
	agent_link_destroy(&half->machine);
	fake_vsock_end(&half->fake);
}

static void say(struct half *half, uint16_t type, uint32_t id, const void *payload, uint32_t length)
{
	uint8_t frame[AGENT_HEADER_SIZE + 64];

	agent_put_header(frame, type, 0, id, length);
	memcpy(frame + AGENT_HEADER_SIZE, payload, length);
	fake_vsock_send_data(&half->fake, AGENT_PORT, GUEST, frame, AGENT_HEADER_SIZE + length);
}

/* Takes the next packet with bytes: the header of the frame in it. */
static struct agent_header hear(struct half *half)
{
	do {
		ck_assert(fake_vsock_wait(&half->fake, &packet));
	} while (packet.header.op != VSOCK_OP_RW);
	return agent_get_header(packet.payload);
}

/* The agent greets, and is ready. */
static void greet(struct half *half)
{
	uint8_t hello[AGENT_HELLO_SIZE] = {0};

	agent_put32(hello + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(hello + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR);
	agent_put32(hello + AGENT_HELLO_AT_CONNECTIONS, 7);
	agent_put32(hello + AGENT_HELLO_AT_FEATURES, AGENT_FEATURE_FILTER);
	fake_vsock_send(&half->fake, VSOCK_OP_REQUEST, AGENT_PORT, GUEST);
	ck_assert(fake_vsock_wait(&half->fake, &packet));
	say(half, AGENT_HELLO, 0, hello, sizeof(hello));
	ck_assert_uint_eq(hear(half).type, AGENT_WELCOME);
	ck_assert_uint_eq(half->ready, 1);
}

static int resume(struct half *half, const uint8_t *data, size_t length)
{
	/* A copy of the exact size, so that the sanitizer detects a read beyond it. */
	uint8_t *copy = memcpy(malloc(length + 1), data, length);
	struct unpack from = {.data = copy, .length = length};
	struct err err;
	int ret = agent_link_resume(&half->machine, &from, &err);

	free(copy);
	return ret;
}

START_TEST(an_idle_agent_goes_on)
{
	const uint8_t done[4] = {0};
	struct pack saved = {.data = NULL};
	struct agent_header header;

	begin(&old);
	greet(&old);
	ck_assert(agent_link_save(&old.machine, &saved));
	begin(&new);
	ck_assert_int_eq(resume(&new, saved.data, saved.length), 0);
	ck_assert_uint_eq(new.ready, 0); /* only from the loop */
	fake_vsock_run(&new.fake);
	ck_assert_uint_eq(new.ready, 1);
	ck_assert(agent_channel_filters(new.machine.channel));
	ck_assert_int_eq(agent_channel_ping(new.machine.channel,
					    &(struct agent_reply){.done = on_reply, .arg = &new}),
			 0);
	header = hear(&new);
	ck_assert_uint_eq(header.type, AGENT_PING);
	ck_assert_uint_eq(packet.header.dst_port, GUEST);
	say(&new, AGENT_RESULT, header.id, done, sizeof(done));
	ck_assert_uint_eq(new.replies, 1);
	ck_assert_int_eq(new.error, 0);
	/* The old machine's connection is as it was. */
	ck_assert_int_eq(agent_channel_ping(old.machine.channel, NULL), 0);
	ck_assert_uint_eq(hear(&old).type, AGENT_PING);
	end(&new);
	end(&old);
	pack_free(&saved);
}
END_TEST

START_TEST(other_connections_of_the_guest_end)
{
	struct pack saved = {.data = NULL};

	begin(&old);
	greet(&old);
	fake_vsock_send(&old.fake, VSOCK_OP_REQUEST, 5555, 4444); /* nothing listens there */
	fake_vsock_send(&old.fake, VSOCK_OP_REQUEST, AGENT_PORT, GUEST - 1);
	ck_assert(agent_link_save(&old.machine, &saved));
	begin(&new);
	ck_assert_int_eq(resume(&new, saved.data, saved.length), 0);
	fake_vsock_run(&new.fake);
	while (fake_vsock_take(&new.fake, &packet))
		ck_assert(packet.header.op != VSOCK_OP_RST || packet.header.dst_port != GUEST);
	ck_assert_uint_eq(new.ready, 1);
	end(&new);
	end(&old);
	pack_free(&saved);
}
END_TEST

START_TEST(an_agent_that_owes_a_reply_is_not_saved)
{
	struct pack saved = {.data = NULL};

	begin(&old);
	ck_assert(!agent_link_save(&old.machine, &saved)); /* not connected */
	greet(&old);
	ck_assert_int_eq(agent_channel_ping(old.machine.channel,
					    &(struct agent_reply){.done = on_reply, .arg = &old}),
			 0);
	ck_assert(!agent_link_save(&old.machine, &saved));
	end(&old);
	pack_free(&saved);
}
END_TEST

START_TEST(a_damaged_section_is_refused_whole)
{
	struct pack saved = {.data = NULL};
	size_t length;

	begin(&old);
	greet(&old);
	ck_assert(agent_link_save(&old.machine, &saved));
	begin(&new);
	for (length = 0; length < saved.length; length++) {
		ck_assert_int_eq(resume(&new, saved.data, length), -EINVAL);
		ck_assert_ptr_null(new.machine.agent_stream);
		fake_vsock_run(&new.fake);
		vsock_forget_streams(new.fake.vsock);
	}
	pack_u8(&saved, 0); /* too long */
	ck_assert_int_eq(resume(&new, saved.data, saved.length), -EINVAL);
	/* A port that any program may use is not the agent's. */
	saved.data[AGENT_CHANNEL_SAVED] = saved.data[AGENT_CHANNEL_SAVED + 1] = 0xff;
	ck_assert_int_eq(resume(&new, saved.data, saved.length - 1), -EINVAL);
	ck_assert_ptr_null(new.machine.agent_stream);
	ck_assert_uint_eq(new.ready, 0);
	end(&new);
	end(&old);
	pack_free(&saved);
}
END_TEST

UNIT_MAIN("agent_resume", an_idle_agent_goes_on, other_connections_of_the_guest_end,
	  an_agent_that_owes_a_reply_is_not_saved, a_damaged_section_is_refused_whole)
