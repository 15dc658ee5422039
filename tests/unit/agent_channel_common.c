/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent_channel_common.h"

static long fake_read(void *arg, void *to, size_t length)
{
	struct fake *fake = arg;
	size_t n = min_u64(length, fake->in_length - fake->in_at);

	ck_assert_uint_eq(fake->closed, 0);
	if (fake->read_limit)
		n = min_u64(n, fake->read_limit);
	if (n == 0)
		return fake->in_end ? 0 : -EAGAIN;
	memcpy(to, fake->in + fake->in_at, n);
	fake->in_at += n;
	return (long)n;
}

static long fake_write(void *arg, const void *from, size_t length)
{
	struct fake *fake = arg;
	size_t n = min_u64(length, fake->out_room - fake->out_length);

	ck_assert_uint_eq(fake->closed, 0);
	if (fake->write_error)
		return -fake->write_error;
	if (n == 0)
		return -EAGAIN;
	memcpy(fake->out + fake->out_length, from, n);
	fake->out_length += n;
	return (long)n;
}

static void fake_close(void *arg)
{
	struct fake *fake = arg;

	fake->closed++;
}

void fake_attach(struct fake *fake)
{
	struct agent_transport transport = {
		.read = fake_read,
		.write = fake_write,
		.close = fake_close,
		.arg = fake,
	};

	fake->in_length = fake->in_at = fake->out_length = 0;
	fake->closed = 0;
	ck_assert_int_eq(agent_channel_attach(fake->host.channel, &transport), 0);
}

struct fake *fake_create(void)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	ck_assert_ptr_nonnull(fake);
	host_create(&fake->host);
	fake->out_room = 8u << 20;
	fake->out = malloc(fake->out_room);
	fake_attach(fake);
	return fake;
}

void fake_destroy(struct fake *fake)
{
	host_destroy(&fake->host);
	ck_assert_uint_eq(fake->closed, 1);
	free(fake->out);
	free(fake);
}

void put(struct fake *fake, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
	 uint32_t length)
{
	uint8_t *to = fake->in + fake->in_length;

	agent_put_header(to, type, flags, id, length);
	if (length && payload)
		memcpy(to + AGENT_HEADER_SIZE, payload, length);
	fake->in_length += AGENT_HEADER_SIZE + length;
}

void put32(struct fake *fake, uint16_t type, uint32_t id, uint32_t value)
{
	uint8_t payload[4];

	agent_put32(payload, value);
	put(fake, type, 0, id, payload, 4);
}

void put_hello(struct fake *fake, uint16_t major, uint16_t minor)
{
	uint8_t payload[AGENT_HELLO_SIZE + 6] = {0};

	agent_put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(payload + AGENT_HELLO_AT_MAJOR, major);
	agent_put16(payload + AGENT_HELLO_AT_MINOR, minor);
	agent_put32(payload + AGENT_HELLO_AT_CONNECTIONS, 3);
	memcpy(payload + AGENT_HELLO_SIZE, "fa\x1bke\n", 6);
	put(fake, AGENT_HELLO, 0, 0, payload, sizeof(payload));
}

static void put_exited(struct fake *fake, uint32_t id, uint32_t code, uint32_t number)
{
	uint8_t payload[AGENT_EXITED_SIZE] = {0};

	agent_put32(payload + AGENT_EXITED_AT_CODE, code);
	agent_put32(payload + AGENT_EXITED_AT_SIGNAL, number);
	agent_put64(payload + AGENT_EXITED_AT_USER_US, 1234567890123u);
	put(fake, AGENT_EXITED, 0, id, payload, sizeof(payload));
}

void start(struct fake *fake, struct run *run)
{
	const char *argv[] = {"x", NULL};
	struct agent_command_spec spec = {.argv = argv};

	ck_assert_int_eq(run_start(&fake->host, run, &spec), 0);
}

struct fake *with_features(uint32_t features)
{
	struct fake *fake = fake_create();

	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_put32(fake->in + AGENT_HEADER_SIZE + AGENT_HELLO_AT_FEATURES, features);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 1);
	fake->out_length = 0;
	return fake;
}

struct fake *with_command(struct run *run)
{
	struct fake *fake = fake_create();

	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 1);
	start(fake, run);
	return fake;
}

void put_life(struct fake *fake)
{
	put32(fake, AGENT_STARTED, COMMAND_1, 42);
	put(fake, AGENT_OUTPUT, 1, COMMAND_1, "out", 3);
	put(fake, AGENT_OUTPUT, 2, COMMAND_1, "err", 3);
	put(fake, AGENT_STDIN_EOF, 0, COMMAND_1, NULL, 0);
	put(fake, AGENT_OUTPUT_EOF, 2, COMMAND_1, NULL, 0);
	put(fake, AGENT_OUTPUT_EOF, 1, COMMAND_1, NULL, 0);
	put_exited(fake, COMMAND_1, 9, 0);
	put32(fake, AGENT_POWER, 0, AGENT_POWER_OFF);
}
