/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection, between the guest's endpoint and the outside. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/stream.h"

#define READ_MOST (128u << 10) /* bytes of one recv(2) */

enum progress {
	WAITS, /* for bytes, room or a verdict: something wakes the stream */
	MORE,  /* its turn is over */
	GONE,
};

/* --- to the outside --------------------------------------------------------------------------- */

/*
 * The outside has reset the connection, or it failed. The guest learns of that behind the bytes
 * that came before, as it would without a relay: they may be the reason (an early response).
 */
static enum progress lose(struct relay_stream *stream, ssize_t error)
{
	stream->lost = true;
	stream->torn = error != -EPIPE;
	stream->readable = !stream->consumer;
	stream->read_on = true;
	return WAITS;
}

static bool is_delivered(const struct relay_stream *stream)
{
	struct tcp_counts counts;

	tcp_counts(stream->tcp, &counts);
	return counts.sent == stream->flow.bytes_in;
}

static enum progress refuse(struct relay_stream *stream, const char *why)
{
	stream_refuse_unjudged(stream, why);
	return GONE;
}

static bool guest_ended(const struct relay_stream *stream)
{
	enum tcp_state state = tcp_state(stream->tcp);

	return state == TCP_STATE_CLOSE_WAIT || state == TCP_STATE_CLOSING ||
	       state == TCP_STATE_LAST_ACK || state == TCP_STATE_TIME_WAIT ||
	       state == TCP_STATE_CLOSED;
}

/* How many of the guest's bytes may pass now. MORE: *pass of them. */
static enum progress ask_judge(struct relay_stream *stream, const uint8_t *data, size_t length,
			       size_t *pass)
{
	if (stream->wait.ticket != 0)
		return WAITS;
	switch (judge_bytes(&stream->judge, data, length, pass)) {
	case JUDGE_PASS:
	case JUDGE_OPAQUE:
		return MORE;
	case JUDGE_MORE:
		/* What could never be judged is never sent. */
		return guest_ended(stream) ? refuse(stream, "it ended before it could be judged")
					   : WAITS;
	case JUDGE_DECIDE:
		return stream_decide_subject(stream) ? WAITS : GONE;
	case JUDGE_SWITCH:
		return WAITS;
	default:
		return refuse(stream, stream->judge.why);
	}
}

/* Sends up to length bytes. Returns how many; 0: not now; or -errno. */
static ssize_t give(struct relay_stream *stream, const uint8_t *data, size_t length)
{
	ssize_t n;

	if (!stream->writable)
		return 0;
	n = send(stream->socket.fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		return -errno;
	stream->writable = false;
	return 0;
}

/* The same to what is behind the stream: all its bytes pass here, and are counted. */
static ssize_t give_behind(struct relay_stream *stream, const uint8_t *data, size_t length)
{
	ssize_t n = stream->consumer ? stream->consumer->input(stream->consumer_arg, data, length)
				     : give(stream, data, length);

	if (n > 0)
		stream->flow.bytes_out += (uint64_t)n;
	return n;
}

size_t stream_pass(void *arg, const uint8_t *bytes, size_t length)
{
	struct relay_stream *stream =
		(struct relay_stream *)((char *)arg - offsetof(struct relay_stream, ends));
	ssize_t n;

	if (stream->stage != STREAM_OPEN || stream->consumer || stream->lost ||
	    !judge_is_over(&stream->judge))
		return 0;
	n = give_behind(stream, bytes, length);
	if (n < 0)
		lose(stream, n);
	return n > 0 ? (size_t)n : 0;
}

static void end_out(struct relay_stream *stream)
{
	if (stream->out_ended)
		return;
	stream->out_ended = true;
	if (stream->consumer)
		stream->consumer->ended(stream->consumer_arg);
	else
		shutdown(stream->socket.fd, SHUT_WR);
}

static enum progress move_out(struct relay_stream *stream)
{
	size_t left = STREAM_TURN, length, pass;
	enum progress progress;
	const uint8_t *data;
	ssize_t n;

	while (!stream->lost && (data = tcp_peek(stream->tcp, &length)) != NULL) {
		if (left == 0)
			return MORE;
		progress = ask_judge(stream, data, length, &pass);
		if (progress != MORE)
			return progress;
		n = give_behind(stream, data, min_u64(pass, left));
		if (n < 0)
			return lose(stream, n);
		if (n == 0)
			return WAITS;
		tcp_consume(stream->tcp, (size_t)n);
		left -= (size_t)n;
	}
	if (!stream->lost && tcp_look(stream->tcp) & TCP_LOOK_ENDED)
		end_out(stream);
	return WAITS;
}

/* --- to the guest ----------------------------------------------------------------------------- */

static void drop_response(struct relay_stream *stream)
{
	free(stream->response);
	stream->response = NULL;
	stream->response_length = 0;
}

static bool awaits_response(const struct judge *judge)
{
	return judge->kind == JUDGE_HTTP && judge->http_stream->count > 0 &&
	       judge->http_stream->head.upgrade;
}

static void settle_upgrade(struct relay_stream *stream, bool switched)
{
	judge_switched(&stream->judge, switched);
	if (!switched) {
		free(stream->upgrade_path);
		stream->upgrade_path = NULL;
	}
	drop_response(stream);
	stream_wake(stream);
}

/*
 * Whether a request that asks for another protocol may get it depends on the server's response, so
 * its first bytes are kept until that is known.
 */
static bool keep_response(struct relay_stream *stream, const uint8_t *data, size_t length)
{
	struct judge *judge = &stream->judge;
	const struct request_stream *http = judge->http_stream;
	enum request_response response;

	if (!judge->http || judge->kind == JUDGE_DONE || judge->kind == JUDGE_TLS ||
	    (http && http->count > 0 && !http->head.upgrade)) {
		drop_response(stream);
		return true;
	}
	if (!stream->response) {
		/* In the middle of the stream there is no response to be found. */
		if (stream->flow.bytes_in > 0)
			return true;
		stream->response = malloc(REQUEST_HEAD_MAX);
		if (!stream->response)
			return false;
	}
	length = min_u64(length, REQUEST_HEAD_MAX - stream->response_length);
	memcpy(stream->response + stream->response_length, data, length);
	stream->response_length += length;
	if (!awaits_response(judge))
		return true;
	response = request_read_response(stream->response, stream->response_length);
	if (response == RESPONSE_MORE && stream->response_length < REQUEST_HEAD_MAX)
		return true;
	settle_upgrade(stream, response == RESPONSE_SWITCHED);
	return true;
}

static enum progress move_in(struct relay_stream *stream)
{
	size_t left = STREAM_TURN, room;
	uint8_t *to;
	ssize_t n;

	stream->starved = false;
	while (stream->readable && !stream->in_ended) {
		if (left == 0)
			return MORE;
		to = tcp_reserve(stream->tcp, min_u64(READ_MOST, left), &room);
		if (!to) {
			stream->starved = tcp_look(stream->tcp) & TCP_LOOK_WRITABLE;
			return WAITS;
		}
		n = recv(stream->socket.fd, to, room, MSG_DONTWAIT);
		if (n > 0 && !keep_response(stream, to, (size_t)n)) {
			n = -1;
			errno = ENOMEM;
		}
		tcp_commit(stream->tcp, n > 0 ? (size_t)n : 0);
		if (n > 0) {
			stream->flow.bytes_in += (uint64_t)n;
			left -= (size_t)n;
			/* The socket is empty, and what comes next is a new edge. */
			if ((size_t)n < room && !stream->read_on)
				stream->readable = false;
		} else if (n == 0 && stream->torn) {
			stream->readable = false;
		} else if (n == 0) {
			stream->in_ended = true;
			tcp_shutdown(stream->tcp);
			if (awaits_response(&stream->judge))
				settle_upgrade(stream, false);
		} else if (errno == EAGAIN || errno == EINTR) {
			stream->readable = false;
		} else {
			stream->lost = true;
			stream->readable = false;
		}
	}
	return WAITS;
}

bool stream_move(struct relay_stream *stream, bool *more)
{
	enum progress in = WAITS, out;

	out = move_out(stream);
	if (out == GONE)
		return false;
	if (stream->consumer)
		stream->consumer->turn(stream->consumer_arg);
	else
		in = move_in(stream);
	if (stream->lost && (stream->consumer || stream->in_ended || !stream->readable) &&
	    (stream->consumer || is_delivered(stream))) {
		stream_end(stream, RELAY_CLOSED);
		return false;
	}
	*more = in == MORE || out == MORE;
	return true;
}
