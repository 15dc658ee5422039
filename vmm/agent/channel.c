/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/agent/channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/agent/internal.h"
#include "vmm/base/bytes.h"

/* Bytes read before the loop's other sources get their turn. */
#define READ_TURN (512u << 10)
/* A queue that has grown beyond this size is freed when it empties. */
#define QUEUE_KEEP (512u << 10)

static void channel_run(void *arg);

int agent_channel_create(struct agent_channel **out, struct loop *loop,
			 const struct agent_channel_hooks *hooks, void *arg)
{
	struct agent_channel *channel = calloc(1, sizeof(*channel));

	*out = channel;
	if (!channel)
		return -ENOMEM;
	channel->loop = loop;
	channel->hooks = *hooks;
	channel->arg = arg;
	channel->task = (struct loop_task){.run = channel_run, .arg = channel};
	channel->next_request = 1;
	channel->next_generation = 1;
	return 0;
}

/* Returns to the state before attach. Makes no callback but the transport's close. */
static void channel_detach(struct agent_channel *channel)
{
	if (!channel->attached)
		return;
	channel->attached = false;
	channel->ready = channel->resumed = false;
	channel->connection++;
	channel->transport.close(channel->transport.arg);
	channel->write_error = 0;
	channel->gone = false;
	channel->credit_unsent = false;
	channel->in_used = 0;
	free(channel->in);
	channel->in = NULL;
	free(channel->out.data);
	channel->out = (struct agent_queue){0};
	loop_cancel(channel->loop, &channel->task);
}

void agent_channel_destroy(struct agent_channel *channel)
{
	if (!channel)
		return;
	channel_detach(channel);
	while (channel->all)
		command_free(channel->all);
	free(channel);
}

int agent_channel_attach(struct agent_channel *channel, const struct agent_transport *transport)
{
	if (channel->attached)
		return -EBUSY;
	channel->in = malloc(AGENT_FRAME_MAX);
	if (!channel->in)
		return -ENOMEM;
	channel->transport = *transport;
	channel->gone = false;
	channel->attached = true;
	/* Read what arrived before the owner of the transport could report it. */
	channel_soon(channel);
	return 0;
}

bool agent_channel_attached(const struct agent_channel *channel)
{
	return channel->attached;
}

bool agent_channel_is_ready(const struct agent_channel *channel)
{
	return channel->ready;
}

void channel_soon(struct agent_channel *channel)
{
	loop_defer(channel->loop, &channel->task);
}

void channel_lose(struct agent_channel *channel, const char *fmt, ...)
{
	char why[AGENT_MESSAGE_MAX];
	va_list args;
	unsigned i;

	if (!channel->attached)
		return;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	channel_detach(channel);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		if (channel->slots[i])
			command_lost(channel->slots[i], why);
	requests_lost(channel);
	if (channel->hooks.lost)
		channel->hooks.lost(channel->arg, why);
}

void channel_text(char *to, size_t size, const uint8_t *from, size_t length)
{
	size_t i;

	length = min_u64(length, size - 1);
	for (i = 0; i < length; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	to[length] = '\0';
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Makes room for length more bytes at the end of the queue: 0 or -ENOMEM. */
static int queue_reserve(struct agent_queue *queue, size_t length)
{
	size_t size = queue->size ? queue->size : 8192;
	uint8_t *data;

	if (queue->head + queue->used + length <= queue->size)
		return 0;
	if (queue->head && queue->used + length <= queue->size) {
		memmove(queue->data, queue->data + queue->head, queue->used);
		queue->head = 0;
		return 0;
	}
	while (size < queue->used + length)
		size *= 2;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	if (queue->used)
		memcpy(data, queue->data + queue->head, queue->used);
	free(queue->data);
	*queue = (struct agent_queue){
		.data = data, .size = size, .used = queue->used, .total = queue->total};
	return 0;
}

/* Writes what the transport takes. channel_step() handles a failure. */
static void channel_flush(struct agent_channel *channel)
{
	struct agent_queue *queue = &channel->out;
	bool busy = channel->busy;
	long n;

	while (queue->used && !channel->write_error) {
		/* A transport that calls back from inside its write must wait. */
		channel->busy = true;
		n = channel->transport.write(channel->transport.arg, queue->data + queue->head,
					     queue->used);
		channel->busy = busy;
		if (n == -EAGAIN || n == 0)
			return;
		if (n < 0 || (size_t)n > queue->used) {
			channel->write_error = n < 0 ? (int)-n : EIO;
			channel_soon(channel);
			return;
		}
		queue->head += (size_t)n;
		queue->used -= (size_t)n;
	}
	queue->head = 0;
	if (queue->size > QUEUE_KEEP && !queue->used) {
		free(queue->data);
		*queue = (struct agent_queue){.total = queue->total};
	}
}

int channel_send(struct agent_channel *channel, size_t limit, uint16_t type, uint16_t flags,
		 uint32_t id, const void *payload, size_t length)
{
	struct agent_queue *queue = &channel->out;
	uint8_t *to;

	if (queue->used + AGENT_HEADER_SIZE + length > limit)
		return -EAGAIN;
	if (queue_reserve(queue, AGENT_HEADER_SIZE + length) < 0)
		return -ENOMEM;
	to = queue->data + queue->head + queue->used;
	agent_put_header(to, type, flags, id, (uint32_t)length);
	if (length)
		memcpy(to + AGENT_HEADER_SIZE, payload, length);
	queue->used += AGENT_HEADER_SIZE + length;
	queue->total += AGENT_HEADER_SIZE + length;
	channel_flush(channel);
	return 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Handles every whole frame in the buffer. Returns false if the connection is over. */
static bool channel_parse(struct agent_channel *channel)
{
	unsigned connection = channel->connection;
	size_t at = 0;

	while (channel->in_used - at >= AGENT_HEADER_SIZE) {
		struct agent_header header = agent_get_header(channel->in + at);

		if (header.length > AGENT_PAYLOAD_MAX) {
			channel_lose(channel, "the agent sent a frame of %u bytes", header.length);
			return false;
		}
		if (channel->in_used - at < AGENT_HEADER_SIZE + header.length)
			break;
		if (!channel_frame(channel, header, channel->in + at + AGENT_HEADER_SIZE) ||
		    channel->connection != connection)
			return false;
		at += AGENT_HEADER_SIZE + header.length;
	}
	memmove(channel->in, channel->in + at, channel->in_used - at);
	channel->in_used -= at;
	return true;
}

/* Reads and handles up to READ_TURN bytes. Returns true if there may be more. */
static bool channel_read(struct agent_channel *channel)
{
	size_t done = 0, space;
	long n;

	while (channel->attached && done < READ_TURN) {
		space = AGENT_FRAME_MAX - channel->in_used;
		n = channel->transport.read(channel->transport.arg, channel->in + channel->in_used,
					    space);
		if (n == -EAGAIN)
			return false;
		if (n == 0) {
			channel_lose(channel, "the agent closed the connection");
			return false;
		}
		if (n < 0 || (size_t)n > space) {
			channel_lose(channel, "the connection to the agent broke: %s",
				     strerror(n < 0 ? (int)-n : EIO));
			return false;
		}
		channel->in_used += (size_t)n;
		done += (size_t)n;
		if (!channel_parse(channel))
			return false;
	}
	return channel->attached;
}

/* All callbacks are made from here, and never from inside another one. */
static void channel_step(struct agent_channel *channel)
{
	unsigned connection = channel->connection;
	bool more;

	if (!channel->attached)
		return;
	if (channel->busy) {
		channel_soon(channel);
		return;
	}
	channel->busy = true;
	if (channel->resumed)
		channel_resumed(channel);
	do {
		more = channel_read(channel);
	} while (more && channel->gone && channel->connection == connection);
	if (channel->attached && channel->connection == connection && channel->gone)
		channel_lose(channel, "the connection to the agent was reset");
	if (channel->attached && channel->connection == connection) {
		channel_flush(channel);
		if (channel->write_error)
			channel_lose(channel, "the connection to the agent broke: %s",
				     strerror(channel->write_error));
		else
			commands_continue(channel);
	}
	channel->busy = false;
	if (more && channel->attached)
		channel_soon(channel);
}

static void channel_run(void *arg)
{
	channel_step(arg);
}

void agent_channel_readable(struct agent_channel *channel)
{
	channel_step(channel);
}

void agent_channel_writable(struct agent_channel *channel)
{
	channel_step(channel);
}

void agent_channel_closed(struct agent_channel *channel)
{
	/* Bytes that arrived before the end are still read. */
	channel->gone = true;
	channel_step(channel);
}
