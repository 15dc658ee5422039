/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/names_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"

struct stream_query {
	struct names_stream *stream;
	bool used;
	struct names_query query;
};

struct names_stream {
	struct names *names;
	const struct names_stream_ops *ops;
	void *arg;
	unsigned waiting;
	bool broken;
	struct stream_query query[NAMES_STREAM_WAITING];
};

static void on_response(void *arg, const uint8_t *response, size_t length)
{
	struct stream_query *query = arg;
	struct names_stream *stream = query->stream;
	uint8_t bytes[NAMES_STREAM_OUTPUT];

	query->used = false;
	stream->waiting--;
	store_be16(bytes, (uint16_t)length);
	memcpy(bytes + NAMES_STREAM_PREFIX, response, length);
	stream->ops->output(stream->arg, bytes, NAMES_STREAM_PREFIX + length);
}

/* A place for one more query whose response has room, besides those of the queries that wait. */
static struct stream_query *place(struct names_stream *stream)
{
	size_t room = (stream->waiting + (size_t)1) * NAMES_STREAM_OUTPUT;
	unsigned i;

	if (stream->waiting == NAMES_STREAM_WAITING || stream->ops->room(stream->arg) < room)
		return NULL;
	for (i = 0; i < NAMES_STREAM_WAITING; i++)
		if (!stream->query[i].used)
			return &stream->query[i];
	return NULL;
}

static bool take_query(struct names_stream *stream, struct stream_query *query,
		       const uint8_t *message, size_t length)
{
	*query = (struct stream_query){
		.stream = stream,
		.used = true,
		.query = {.done = on_response, .arg = query},
	};
	stream->waiting++;
	if (names_ask(stream->names, &query->query, message, length, true) == 0)
		return true;
	query->used = false;
	stream->waiting--;
	return false;
}

ssize_t names_stream_input(struct names_stream *stream, const uint8_t *bytes, size_t length)
{
	size_t at = 0, size;

	while (!stream->broken && range_within(at, NAMES_STREAM_PREFIX, length)) {
		struct stream_query *query;

		size = load_be16(bytes + at);
		if (size < DNS_HEADER || size > NAMES_STREAM_QUERY) {
			stream->broken = true;
			break;
		}
		if (!range_within(at, NAMES_STREAM_PREFIX + size, length))
			break;
		query = place(stream);
		if (!query)
			break;
		stream->broken = !take_query(stream, query, bytes + at + NAMES_STREAM_PREFIX, size);
		at += NAMES_STREAM_PREFIX + size;
	}
	return stream->broken ? -EPROTO : (ssize_t)at;
}

unsigned names_stream_waiting(const struct names_stream *stream)
{
	return stream->waiting;
}

int names_stream_create(struct names_stream **out, struct names *names,
			const struct names_stream_ops *ops, void *arg)
{
	struct names_stream *stream = calloc(1, sizeof(*stream));

	*out = stream;
	if (!stream)
		return -ENOMEM;
	stream->names = names;
	stream->ops = ops;
	stream->arg = arg;
	return 0;
}

void names_stream_destroy(struct names_stream *stream)
{
	unsigned i;

	if (!stream)
		return;
	for (i = 0; i < NAMES_STREAM_WAITING; i++)
		if (stream->query[i].used)
			names_cancel(stream->names, &stream->query[i].query);
	free(stream);
}
