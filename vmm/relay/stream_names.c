/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/stream_names.h"

#include <stdlib.h>

#include "vmm/relay/names_stream.h"
#include "vmm/relay/stream.h"

struct names_end {
	struct relay_stream *stream;
	struct names_stream *names;
	bool idle;   /* what the guest has sent last is no whole query, or has no room yet */
	bool broken; /* part of a reply was lost */
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

	/*
	 * Without memory for all of it, the rest would be taken for another message. The connection
	 * is aborted in a turn, since the query may lie in its buffer.
	 */
	if (end->broken || tcp_write(end->stream->tcp, bytes, length) < length)
		end->broken = true;
	end->stream->flow.bytes_in += length;
	/* There may be room for its next query, and the guest's end may have waited for this. */
	stream_wake(end->stream);
}

static const struct names_stream_ops names_ops = {.room = room, .output = output};

static ssize_t input(void *arg, const uint8_t *bytes, size_t length)
{
	struct names_end *end = arg;
	ssize_t taken = names_stream_input(end->names, bytes, length);

	end->idle = taken == 0;
	return taken;
}

/* Behind the guest's end, what is left is not a whole query. */
static void turn(void *arg)
{
	struct names_end *end = arg;
	struct tcp *tcp = end->stream->tcp;

	if (end->broken) {
		tcp_abort(tcp);
		return;
	}
	end_if_done(end);
	if (end->idle && !end->stream->out_ended && tcp_state(tcp) == TCP_STATE_CLOSE_WAIT &&
	    names_stream_waiting(end->names) == 0 && room(end) >= NAMES_STREAM_OUTPUT)
		tcp_abort(tcp);
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
	.turn = turn,
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
