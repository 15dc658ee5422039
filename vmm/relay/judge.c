/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/judge.h"

#include <stdlib.h>

#define TLS_HANDSHAKE 22 /* the type of a connection's first record (RFC 8446, 5.1) */

void judge_init(struct judge *judge, bool tls, bool http, uint16_t port)
{
	*judge = (struct judge){.tls = tls, .http = http, .port = port};
}

void judge_destroy(struct judge *judge)
{
	free(judge->http_stream);
	judge->http_stream = NULL;
}

static enum judge_verdict refuse(struct judge *judge, const char *why)
{
	judge->why = why;
	judge->kind = JUDGE_DONE;
	judge_destroy(judge);
	return JUDGE_REFUSED;
}

static enum judge_verdict all_passes(struct judge *judge, size_t length, size_t *pass)
{
	judge->kind = JUDGE_DONE;
	judge_destroy(judge);
	*pass = length;
	return JUDGE_OPAQUE;
}

static enum judge_verdict judge_tls(struct judge *judge, const uint8_t *data, size_t length,
				    size_t *pass)
{
	struct hello *hello = &judge->hello;

	switch (hello_judge(hello, data, length, pass)) {
	case HELLO_MORE:
		return JUDGE_MORE;
	case HELLO_NAME:
		judge->subject =
			(struct judge_subject){.protocol = POLICY_TLS, .name = hello->name};
		return JUDGE_DECIDE;
	case HELLO_PASS:
		return JUDGE_PASS;
	case HELLO_OPAQUE:
		return all_passes(judge, length, pass);
	default:
		break;
	}
	/* Only a rule by address can allow a first ClientHello whose name cannot be checked. */
	if (!hello->found && (hello->reason == HELLO_NO_NAME || hello->reason == HELLO_ENCRYPTED)) {
		judge->nameless = true;
		judge->subject = (struct judge_subject){.protocol = POLICY_TLS,
							.why = hello_reason_text(hello->reason)};
		return JUDGE_DECIDE;
	}
	return refuse(judge, hello_reason_text(hello->reason));
}

static enum judge_verdict judge_http(struct judge *judge, const uint8_t *data, size_t length,
				     size_t *pass)
{
	struct request_stream *stream = judge->http_stream;
	const struct request_head *head = &stream->head;

	switch (request_judge(stream, data, length, pass)) {
	case REQUEST_MORE:
		return JUDGE_MORE;
	case REQUEST_READY:
		judge->subject =
			(struct judge_subject){.protocol = POLICY_HTTP,
					       .name = head->address ? NULL : head->host,
					       .address = head->address ? head->host : NULL,
					       .method = head->method,
					       .path = head->path,
					       .unclear = head->unclear != NULL};
		return JUDGE_DECIDE;
	case REQUEST_PASS:
		return JUDGE_PASS;
	case REQUEST_SWITCH:
		return JUDGE_SWITCH;
	case REQUEST_OPAQUE:
		return all_passes(judge, length, pass);
	default:
		return refuse(judge, request_reason_text(stream->reason));
	}
}

/* The first byte tells which protocol is spoken, where rules for both might allow it. */
static enum judge_verdict choose(struct judge *judge, uint8_t first)
{
	if (judge->tls && (!judge->http || first == TLS_HANDSHAKE)) {
		hello_init(&judge->hello);
		judge->kind = JUDGE_TLS;
		return JUDGE_PASS;
	}
	if (!judge->http)
		return refuse(judge, "no rule allows what is spoken here");
	judge->http_stream = malloc(sizeof(*judge->http_stream));
	if (!judge->http_stream)
		return refuse(judge, "out of memory");
	request_init(judge->http_stream, judge->port);
	judge->kind = JUDGE_HTTP;
	return JUDGE_PASS;
}

bool judge_is_over(const struct judge *judge)
{
	return judge->kind == JUDGE_DONE && !judge->why;
}

enum judge_verdict judge_bytes(struct judge *judge, const uint8_t *data, size_t length,
			       size_t *pass)
{
	*pass = 0;
	if (judge->kind == JUDGE_DONE) {
		if (judge->why)
			return JUDGE_REFUSED;
		*pass = length;
		return JUDGE_OPAQUE;
	}
	if (length == 0)
		return JUDGE_MORE;
	if (judge->kind == JUDGE_FIRST_BYTE && choose(judge, data[0]) == JUDGE_REFUSED)
		return JUDGE_REFUSED;
	return judge->kind == JUDGE_TLS ? judge_tls(judge, data, length, pass)
					: judge_http(judge, data, length, pass);
}

void judge_permit(struct judge *judge)
{
	if (judge->kind == JUDGE_HTTP)
		request_permit(judge->http_stream);
	else if (judge->kind == JUDGE_TLS && judge->nameless)
		judge->kind = JUDGE_DONE;
	else if (judge->kind == JUDGE_TLS)
		hello_permit(&judge->hello);
}

void judge_switched(struct judge *judge, bool switched)
{
	if (judge->kind == JUDGE_HTTP)
		request_switched(judge->http_stream, switched);
}
