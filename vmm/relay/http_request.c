/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of requests: what may pass, bodies, chunks, trailers, upgrades. */
#include "vmm/relay/http_request.h"

#include "vmm/base/bytes.h"
#include "vmm/relay/http_text.h"

#define CHUNK_DIGITS_MAX 15 /* a chunk's size fits into 60 bits */

void request_init(struct request_stream *stream, uint16_t port)
{
	memset(stream, 0, sizeof(*stream));
	stream->port = port;
}

static enum request_verdict refuse(struct request_stream *stream, enum request_reason reason)
{
	stream->stage = REQUEST_AT_END;
	stream->left = 0;
	stream->reason = reason;
	return REQUEST_REFUSED;
}

static void begin_head(struct request_stream *stream)
{
	stream->stage = REQUEST_AT_HEAD;
	stream->ready = false;
	memset(&stream->head, 0, sizeof(stream->head));
	memset(&stream->fields, 0, sizeof(stream->fields));
}

/* --- heads ------------------------------------------------------------------------------------ */

static enum request_verdict judge_head(struct request_stream *stream, const uint8_t *data,
				       size_t length)
{
	enum request_verdict verdict;

	if (stream->ready)
		return REQUEST_READY;
	verdict = http_read_head(stream, data, length);
	if (verdict == REQUEST_REFUSED)
		return refuse(stream, stream->reason);
	stream->ready = verdict == REQUEST_READY;
	return verdict;
}

void request_permit(struct request_stream *stream)
{
	const struct request_fields *fields = &stream->fields;

	if (stream->stage != REQUEST_AT_HEAD || !stream->ready)
		return;
	stream->count++;
	stream->left = stream->head.length;
	if (stream->head.upgrade) {
		stream->stage = REQUEST_AT_SWITCH;
	} else if (fields->chunked) {
		stream->stage = REQUEST_AT_CHUNK;
		stream->trailer_bytes = 0;
	} else {
		stream->left += fields->length;
	}
	stream->ready = false;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static enum request_verdict judge_chunk(struct request_stream *stream, const uint8_t *data,
					size_t length)
{
	uint64_t size = 0;
	size_t digits = 0;
	char digit[2] = "0";
	int value;

	for (;; digits++) {
		if (digits == length)
			return REQUEST_MORE;
		digit[1] = (char)data[digits];
		value = http_escape(digit);
		if (value < 0)
			break;
		if (digits == CHUNK_DIGITS_MAX)
			return refuse(stream, REQUEST_CHUNK);
		size = size << 4 | (uint64_t)value;
	}
	/* Servers disagree about where an extension ends, and clients send none. */
	if (digits == 0 || data[digits] != '\r')
		return refuse(stream, REQUEST_CHUNK);
	if (digits + 1 == length)
		return REQUEST_MORE;
	if (data[digits + 1] != '\n')
		return refuse(stream, REQUEST_CHUNK);
	stream->left = digits + 2 + size;
	stream->stage = size > 0 ? REQUEST_AT_CHUNK_END : REQUEST_AT_TRAILERS;
	stream->fields.count = 0;
	stream->fields.searched = 0;
	return REQUEST_PASS;
}

static enum request_verdict judge_chunk_end(struct request_stream *stream, const uint8_t *data,
					    size_t length)
{
	if ((length > 0 && data[0] != '\r') || (length > 1 && data[1] != '\n'))
		return refuse(stream, REQUEST_CHUNK);
	if (length < 2)
		return REQUEST_MORE;
	stream->left = 2;
	stream->stage = REQUEST_AT_CHUNK;
	return REQUEST_PASS;
}

/* One line: each passes by itself. */
static enum request_verdict judge_trailer(struct request_stream *stream, const uint8_t *data,
					  size_t length)
{
	struct span line, name, value;

	switch (span_line(data, length, 0, REQUEST_HEAD_MAX - stream->trailer_bytes,
			  &stream->fields.searched, &line)) {
	case SPAN_LINE_MORE:
		return REQUEST_MORE;
	case SPAN_LINE_BAD:
		return refuse(stream, REQUEST_LINE);
	case SPAN_LINE_TOO_LONG:
		return refuse(stream, REQUEST_TOO_LONG);
	case SPAN_LINE_WHOLE:
		break;
	}
	if (line.length > 0 && ++stream->fields.count > REQUEST_FIELDS_MAX)
		return refuse(stream, REQUEST_TOO_LONG);
	if (line.length > 0 &&
	    (http_split_field(line, &name, &value) != REQUEST_FINE || http_is_framing(name)))
		return refuse(stream, REQUEST_FIELD);
	stream->left = line.length + 2;
	stream->trailer_bytes += line.length + 2;
	stream->fields.searched = 0;
	if (line.length == 0)
		begin_head(stream);
	return REQUEST_PASS;
}

/* --- all -------------------------------------------------------------------------------------- */

static enum request_verdict judge_next(struct request_stream *stream, const uint8_t *data,
				       size_t length)
{
	switch (stream->stage) {
	case REQUEST_AT_HEAD:
		return judge_head(stream, data, length);
	case REQUEST_AT_CHUNK:
		return judge_chunk(stream, data, length);
	case REQUEST_AT_CHUNK_END:
		return judge_chunk_end(stream, data, length);
	case REQUEST_AT_TRAILERS:
		return judge_trailer(stream, data, length);
	case REQUEST_AT_SWITCH:
		return REQUEST_SWITCH;
	case REQUEST_AT_OPAQUE:
		return REQUEST_OPAQUE;
	case REQUEST_AT_END:
		break;
	}
	return REQUEST_REFUSED;
}

enum request_verdict request_judge(struct request_stream *stream, const uint8_t *data,
				   size_t length, size_t *pass)
{
	enum request_verdict verdict = REQUEST_PASS;

	*pass = 0;
	if (stream->left == 0)
		verdict = judge_next(stream, data, length);
	if (verdict == REQUEST_OPAQUE)
		*pass = length;
	if (verdict != REQUEST_PASS)
		return verdict;
	if (length == 0)
		return REQUEST_MORE;
	*pass = min_u64(stream->left, length);
	stream->left -= *pass;
	if (stream->left == 0 && stream->stage == REQUEST_AT_HEAD)
		begin_head(stream);
	return REQUEST_PASS;
}

void request_switched(struct request_stream *stream, bool switched)
{
	if (stream->stage != REQUEST_AT_SWITCH)
		return;
	begin_head(stream);
	if (switched)
		stream->stage = REQUEST_AT_OPAQUE;
}

enum request_response request_read_response(const uint8_t *data, size_t length)
{
	size_t at = 0, searched = 0;
	bool interim = false;
	struct span line;

	for (;;) {
		switch (span_line(data, length, at, REQUEST_HEAD_MAX, &searched, &line)) {
		case SPAN_LINE_MORE:
			return RESPONSE_MORE;
		case SPAN_LINE_WHOLE:
			break;
		default:
			return RESPONSE_OTHER;
		}
		at += line.length + 2;
		searched = at;
		if (interim) {
			interim = line.length > 0;
			continue;
		}
		if (line.length < 12 || memcmp(line.at, "HTTP/1.1 1", 10) != 0)
			return RESPONSE_OTHER;
		if (memcmp(line.at + 9, "101", 3) == 0)
			return RESPONSE_SWITCHED;
		interim = true;
	}
}

const char *request_reason_text(enum request_reason reason)
{
	static const char *const text[] = {
		[REQUEST_FINE] = "",
		[REQUEST_NOT_HTTP] = "not a request of HTTP/1",
		[REQUEST_HTTP2] = "HTTP/2 without TLS",
		[REQUEST_TUNNEL] = "a CONNECT request",
		[REQUEST_TARGET] = "a request whose target is no valid path or http URL",
		[REQUEST_LINE] = "a control character or a bare line end in a request",
		[REQUEST_FIELD] = "a malformed or misplaced field in a request",
		[REQUEST_TOO_LONG] = "a request with too long or too many lines",
		[REQUEST_HOSTS] = "a request without exactly one Host",
		[REQUEST_HOST] = "a Host that is no valid name or address",
		[REQUEST_OTHER_HOST] = "the URL of the request has another host than its Host",
		[REQUEST_OTHER_PORT] = "the Host has another port",
		[REQUEST_FRAMING] = "a request whose length can be read in two ways",
		[REQUEST_CHUNK] = "a malformed chunk in a request",
		[REQUEST_UPGRADE] = "an upgrade that is not to websocket, or comes too late",
	};

	return text[reason];
}
