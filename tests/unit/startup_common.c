/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/startup_common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

static const char *type_name(uint16_t type)
{
	switch (type) {
	case AGENT_WELCOME:
		return "welcome";
	case AGENT_PING:
		return "ping";
	case AGENT_REHEARSE:
		return "rehearse";
	case AGENT_SET_TIME:
		return "time";
	case AGENT_RESEED:
		return "seed";
	case AGENT_HOSTNAME:
		return "hostname";
	case AGENT_ROOT:
		return "root";
	case AGENT_MOUNT:
		return "mount";
	case AGENT_NETWORK:
		return "network";
	case AGENT_LIMITS:
		return "limits";
	case AGENT_FILTER:
		return "filter";
	case AGENT_FORWARD:
		return "forward";
	case AGENT_EXEC_RULES:
		return "exec";
	default:
		return "?";
	}
}

static void put(struct fake *fake, uint16_t type, uint32_t id, const void *payload, uint32_t length)
{
	uint8_t *to = fake->in + fake->in_length;

	ck_assert_uint_le(fake->in_length + AGENT_HEADER_SIZE + length, sizeof(fake->in));
	agent_put_header(to, type, 0, id, length);
	memcpy(to + AGENT_HEADER_SIZE, payload, length);
	fake->in_length += AGENT_HEADER_SIZE + length;
}

static long fake_read(void *arg, void *to, size_t length)
{
	struct fake *fake = arg;
	size_t n = min_u64(length, fake->in_length - fake->in_at);

	if (n == 0)
		return -EAGAIN;
	memcpy(to, fake->in + fake->in_at, n);
	fake->in_at += n;
	return (long)n;
}

static void note_limits(struct fake *fake, const uint8_t *payload, uint32_t length)
{
	bool more = fake->features & AGENT_FEATURE_FILES_CPU;
	bool most = fake->features & AGENT_FEATURE_MEMORY;

	ck_assert_uint_eq(length, most	 ? AGENT_LIMITS_SIZE_MOST
				  : more ? AGENT_LIMITS_SIZE_MORE
					 : AGENT_LIMITS_SIZE);
	fake->memory_without = most ? agent_get32(payload + AGENT_LIMITS_AT_MEMORY) : 0;
	fake->processes = agent_get32(payload + AGENT_LIMITS_AT_PROCESSES);
	fake->open_files = more ? agent_get32(payload + AGENT_LIMITS_AT_FILES) : 0;
	fake->cpu_millis = more ? agent_get32(payload + AGENT_LIMITS_AT_CPU) : 0;
}

/* The channel writes whole frames where nothing waits to be sent. */
static long fake_write(void *arg, const void *from, size_t length)
{
	struct fake *fake = arg;
	struct agent_header header = agent_get_header(from);
	size_t used = strlen(fake->log);
	uint8_t result[4];

	ck_assert_uint_eq(length, AGENT_HEADER_SIZE + header.length);
	snprintf(fake->log + used, sizeof(fake->log) - used, "%s ", type_name(header.type));
	if (header.type == AGENT_LIMITS)
		note_limits(fake, (const uint8_t *)from + AGENT_HEADER_SIZE, header.length);
	agent_put32(result, header.type == fake->fails ? fake->error : 0);
	if (header.type != AGENT_WELCOME && header.type != fake->silent)
		put(fake, AGENT_RESULT, header.id, result, sizeof(result));
	return (long)length;
}

static void fake_close(void *arg)
{
	((struct fake *)arg)->closed = true;
}

static void fake_ready(void *arg, const struct agent_info *info)
{
	struct fake *fake = arg;

	(void)info;
	sandbox_agent_ready(&fake->sandbox);
}

static void fake_done(void *arg)
{
	struct fake *fake = arg;

	fake->done++;
	fake->sandbox.is_ready = true;
}

static void fake_failed(void *arg, const char *step, const char *why)
{
	struct fake *fake = arg;

	snprintf(fake->failed, sizeof(fake->failed), "%s: %s", step, why);
}

static void fake_warned(void *arg, const char *step, const char *why)
{
	(void)arg;
	ck_abort_msg("%s: %s", step, why);
}

struct policy *policy_of(const char *text)
{
	const struct policy_source source = {.name = "test.policy"};
	struct policy *policy;
	struct err err;

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

struct fake *fake_create(void)
{
	static const struct agent_channel_hooks hooks = {.ready = fake_ready};
	static const struct startup_ops ops = {
		.done = fake_done, .failed = fake_failed, .warned = fake_warned};
	static char host[] = "/host";
	struct fake *fake = calloc(1, sizeof(*fake));
	struct sandbox *sandbox = &fake->sandbox;
	unsigned i;

	ck_assert_int_eq(loop_create(&fake->loop), 0);
	ck_assert_int_eq(agent_channel_create(&sandbox->machine.channel, fake->loop, &hooks, fake),
			 0);
	ck_assert_int_eq(guard_create(&sandbox->config.guard,
				      policy_of("policy 1\nlimit processes=50\n"), NULL),
			 0);
	fake->features = UINT32_MAX;
	sandbox->config.hostname = "box";
	sandbox->config.sockets.count = 1;
	sandbox->config.sockets.socket[0].port = 80;
	sandbox->root.wanted = true;
	sandbox->root.request.type = "ext4";
	sandbox->restored = true;
	sandbox->shares.count = ARRAY_SIZE(fake->link);
	for (i = 0; i < ARRAY_SIZE(fake->link); i++) {
		sandbox->shares.link[i] = &fake->link[i];
		fake->link[i].host = host;
		snprintf(fake->link[i].share.guest, sizeof(fake->link[i].share.guest), "/w%u", i);
	}
	startup_init(&sandbox->startup, sandbox_steps, sandbox_step_count, &ops, sandbox);
	return fake;
}

void fake_connect(struct fake *fake)
{
	const struct agent_transport transport = {
		.read = fake_read, .write = fake_write, .close = fake_close, .arg = fake};
	struct agent_channel *channel = fake->sandbox.machine.channel;
	uint8_t hello[AGENT_HELLO_SIZE] = {0};

	agent_put32(hello + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(hello + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR);
	agent_put16(hello + AGENT_HELLO_AT_MINOR, AGENT_VERSION_MINOR);
	agent_put32(hello + AGENT_HELLO_AT_FEATURES, fake->features);
	fake->in_length = fake->in_at = 0;
	fake->closed = false;
	ck_assert_int_eq(agent_channel_attach(channel, &transport), 0);
	put(fake, AGENT_HELLO, 0, hello, sizeof(hello));
	agent_channel_readable(channel);
}

void fake_destroy(struct fake *fake)
{
	agent_channel_destroy(fake->sandbox.machine.channel);
	ck_assert(fake->closed);
	guard_destroy(fake->sandbox.config.guard);
	loop_destroy(fake->loop);
	free(fake);
}
