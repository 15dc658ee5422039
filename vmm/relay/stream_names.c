/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/stream_names.h"

#include <stdlib.h>

#include "vmm/relay/names_stream.h"
#include "vmm/relay/stream.h"

struct names_end {
	struct relay_stream *stream;
	struct names_stream *names;
};

static void end_if_done(struct names_end *end)
{
	if (end->stream->out_ended && names_stream_waiting(end->names) == 0)
		tcp_shutdown(end->stream->tcp);
}

static size_t room(void *arg)
{
	struct names_end *end = arg;
	size_t bytes;

	tcp_reserve(end->stream->tcp, NAMES_STREAM_WAITING * NAMES_STREAM_OUTPUT, &bytes);
	tcp_commit(end->stream->tcp, 0);
	return bytes;
}

static void output(void *arg, const uint8_t *bytes, size_t length)
{
	struct names_end *end = arg;

	tcp_write(end->stream->tcp, bytes, length);
	end->stream->flow.bytes_in += length;
	/* There may be room for its next query, and the guest's end may have waited for this. */
	stream_wake(end->stream);
}

static const struct names_stream_ops names_ops = {.room = room, .output = output};

static ssize_t input(void *arg, const uint8_t *bytes, size_t length)
{
	struct names_end *end = arg;

	return names_stream_input(end->names, bytes, length);
}

static void ended(void *arg)
{
	end_if_done(arg);
}

static void destroy(void *arg)
{
	struct names_end *end = arg;

	names_stream_destroy(end->names);
	free(end);
}

static const struct stream_consumer consumer = {
	.input = input,
	.turn = ended,
	.ended = ended,
	.destroy = destroy,
};

void stream_names_open(struct relay_stream *stream)
{
	struct names_end *end = calloc(1, sizeof(*end));

	if (!end) {
		stream_end(stream, RELAY_CLOSED);
		return;
	}
	end->stream = stream;
	if (names_stream_create(&end->names, stream->relay->names, &names_ops, end) < 0) {
		free(end);
		stream_end(stream, RELAY_CLOSED);
		return;
	}
	stream_consume(stream, &consumer, end);
}
