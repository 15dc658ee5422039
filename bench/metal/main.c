/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's end of the agent channel (docs/agent-protocol.md): it replies to each request that it
 * is done, and to START with a measurement for each argument and a line of output for its result.
 */
#include "bench/metal/guest.h"
#include "boot/layout.h"
#include "vmm/agent/wire.h"

#define START_BYTES 4096 /* of a command, with its arguments */
#define FRAMES_MAX  8192 /* sent at most in all */

static struct connection channel;
static uint8_t input[AGENT_FRAME_MAX], command[START_BYTES];
static size_t input_used, command_used;
static uint32_t command_id; /* 0: not started */

/* --- frames ----------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
	       (uint32_t)from[3] << 24;
}

static void put32(uint8_t *to, uint32_t value)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* Each frame has memory of its own, which the device may read at any time. */
static void send_frame(uint16_t type, uint16_t flags, uint32_t id, const void *payload,
		       uint32_t length)
{
	static uint8_t frames[FRAMES_MAX];
	static size_t used;
	uint8_t *frame;

	if (used + AGENT_HEADER_SIZE + length > sizeof(frames))
		guest_end();
	frame = frames + used;
	put32(frame + AGENT_AT_TYPE, type | (uint32_t)flags << 16);
	put32(frame + AGENT_AT_ID, id);
	put32(frame + AGENT_AT_LENGTH, length);
	if (length > 0)
		memcpy(frame + AGENT_HEADER_SIZE, payload, length);
	vsock_send(&channel, frame, AGENT_HEADER_SIZE + length);
	used += AGENT_HEADER_SIZE + length;
}

static void send_hello(void)
{
	static const char build[] = "bare metal";
	uint8_t payload[AGENT_HELLO_SIZE + sizeof(build) - 1];

	put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	put32(payload + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR | AGENT_VERSION_MINOR << 16);
	put32(payload + AGENT_HELLO_AT_CONNECTIONS, 1);
	put32(payload + AGENT_HELLO_AT_FEATURES, AGENT_FEATURE_NETWORK | AGENT_FEATURE_LIMITS |
							 AGENT_FEATURE_FILES_CPU |
							 AGENT_FEATURE_FILTER);
	memcpy(payload + AGENT_HELLO_SIZE, build, sizeof(build) - 1);
	send_frame(AGENT_HELLO, 0, 0, payload, sizeof(payload));
}

static void take_start(uint32_t id, uint32_t flags, const uint8_t *payload, size_t length)
{
	if (command_used + length >= sizeof(command))
		guest_end();
	memcpy(command + command_used, payload, length);
	command_used += length;
	if (!(flags & AGENT_MORE))
		command_id = id;
}

static void take_frame(const uint8_t *frame)
{
	static const uint8_t done[4];
	uint32_t type = get32(frame + AGENT_AT_TYPE) & 0xffff;

	switch (type) {
	case AGENT_PING:
	case AGENT_SET_TIME:
	case AGENT_RESEED:
	case AGENT_HOSTNAME:
	case AGENT_ROOT:
	case AGENT_NETWORK:
	case AGENT_LIMITS:
	case AGENT_FILTER:
		send_frame(AGENT_RESULT, 0, get32(frame + AGENT_AT_ID), done, sizeof(done));
		break;
	case AGENT_START:
		take_start(get32(frame + AGENT_AT_ID), get32(frame + AGENT_AT_TYPE) >> 16,
			   frame + AGENT_HEADER_SIZE, get32(frame + AGENT_AT_LENGTH));
		break;
	case AGENT_POWER:
	case AGENT_CLOSE:
		guest_end();
	default:
		break;
	}
}

static void take_bytes(struct connection *connection, const uint8_t *bytes, uint32_t length)
{
	size_t at = 0, frame;

	(void)connection;
	if (input_used + length > sizeof(input))
		guest_end();
	memcpy(input + input_used, bytes, length);
	input_used += length;
	while (input_used - at >= AGENT_HEADER_SIZE) {
		frame = AGENT_HEADER_SIZE + get32(input + at + AGENT_AT_LENGTH);
		if (input_used - at < frame)
			break;
		take_frame(input + at);
		at += frame;
	}
	memcpy(input, input + at, input_used - at);
	input_used -= at;
}

/* --- the command ------------------------------------------------------------------------------ */

static bool measure(const char *what, struct text *result)
{
	if (field_is(&what, "blk"))
		return measure_blk(what, result);
	if (field_is(&what, "send"))
		return measure_send(what, result);
	if (field_is(&what, "receive"))
		return measure_receive(what, result);
	if (field_is(&what, "echo"))
		return measure_echo(what, result);
	if (field_is(&what, "net"))
		return measure_net(what, result);
	return false;
}

/* The string after this one in the command. */
static const char *next_string(const char *string)
{
	while (*string)
		string++;
	return string + 1;
}

/* Measures what each argument says. The exit status: 1 if one of them failed. */
static uint32_t run_command(void)
{
	/* User and directory precede the arguments; the first of these is the program's name. */
	const char *argument = next_string(next_string((const char *)command + AGENT_START_SIZE));
	uint32_t count = get32(command + AGENT_START_AT_ARGUMENTS), status = 0;
	struct text result;

	for (; count > 1; count--) {
		argument = next_string(argument);
		result.length = 0;
		if (!measure(argument, &result)) {
			text_add(&result, " failed: ");
			text_add(&result, argument);
			status = 1;
		}
		text_add(&result, "\n");
		send_frame(AGENT_OUTPUT, 1, command_id, result.bytes, (uint32_t)result.length);
	}
	return status;
}

void guest_main(void);
void guest_main(void)
{
	static const uint8_t pid[4] = {1};
	uint8_t exited[AGENT_EXITED_SIZE];

	vsock_start();
	channel.data = take_bytes;
	if (!vsock_connect(&channel, AGENT_SOURCE_PORT_MAX, AGENT_PORT))
		guest_end();
	send_hello();
	while (command_id == 0 && !channel.closed)
		vsock_poll();
	send_frame(AGENT_STARTED, 0, command_id, pid, sizeof(pid));
	memset(exited, 0, sizeof(exited));
	put32(exited + AGENT_EXITED_AT_CODE, run_command());
	send_frame(AGENT_OUTPUT_EOF, 1, command_id, NULL, 0);
	send_frame(AGENT_OUTPUT_EOF, 2, command_id, NULL, 0);
	send_frame(AGENT_EXITED, 0, command_id, exited, sizeof(exited));
	while (!channel.closed)
		vsock_poll();
	guest_end();
}

void guest_end(void)
{
	for (;;)
		__asm__ volatile("outb %%al, %%dx" ::"a"(0xfe), "d"(LAYOUT_PORT_I8042));
}
