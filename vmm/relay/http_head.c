/* SPDX-License-Identifier: Apache-2.0 */
/* The request line and the fields of a request (RFC 9112, 3, 5 and 6). */
#include "vmm/relay/http_text.h"

#include "vmm/base/bytes.h"

#define PORT_HTTP   80
#define DIGITS_MAX  18 /* of a length: it fits into 64 bits */
#define METHOD_LAST (REQUEST_METHOD_TEXT - 1)

enum request_reason http_split_field(struct span line, struct span *name, struct span *value)
{
	/* This also refuses a folded line, and a space before the colon. */
	if (!span_split(&line, ':', name) || !span_is_token(*name))
		return REQUEST_FIELD;
	*value = span_trim(line);
	return REQUEST_FINE;
}

/* --- the request line ------------------------------------------------------------------------- */

/*
 * All registered methods are capital letters and '-'. A server that ignores case would read
 * 'delete' as DELETE.
 */
static bool is_method(struct span text)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (text.at[i] != '-' && !(text.at[i] >= 'A' && text.at[i] <= 'Z'))
			return false;
	return text.length > 0 && text.length <= METHOD_LAST;
}

/*
 * Whether a request can begin so: what is none is refused at once, since its client may wait for
 * the server and never send the end of a line.
 */
static bool may_begin(const uint8_t *data, size_t length)
{
	const uint8_t *space = memchr(data, ' ', length);

	return length == 0 || is_method((struct span){(const char *)data,
						      space ? (size_t)(space - data) : length});
}

static bool is_exactly(struct span text, const char *what)
{
	return text.length == strlen(what) && memcmp(text.at, what, text.length) == 0;
}

static enum request_reason read_request_line(struct request_stream *stream, struct span line)
{
	struct request_head *head = &stream->head;
	struct span method, target;

	if (!span_split(&line, ' ', &method) || !is_method(method) ||
	    !span_split(&line, ' ', &target))
		return REQUEST_NOT_HTTP;
	if (is_exactly(method, "PRI") || is_exactly(line, "HTTP/2.0"))
		return REQUEST_HTTP2;
	head->version_1_0 = is_exactly(line, "HTTP/1.0");
	if (!head->version_1_0 && !is_exactly(line, "HTTP/1.1"))
		return REQUEST_NOT_HTTP;
	memcpy(head->method, method.at, method.length);
	/* It would lead anywhere. */
	if (is_exactly(method, "CONNECT"))
		return REQUEST_TUNNEL;
	return http_read_target(target, head, &stream->fields);
}

/* --- fields ----------------------------------------------------------------------------------- */

static enum request_reason on_host(struct request_stream *stream, struct span value)
{
	struct request_head *head = &stream->head;

	if (stream->fields.host)
		return REQUEST_HOSTS;
	stream->fields.host = true;
	return http_read_host(value, head->host, &head->address, &head->port) ? REQUEST_FINE
									      : REQUEST_HOST;
}

static enum request_reason on_length(struct request_stream *stream, struct span value)
{
	struct request_fields *fields = &stream->fields;
	size_t i;

	if (fields->length_given || value.length == 0 || value.length > DIGITS_MAX)
		return REQUEST_FRAMING;
	for (i = 0; i < value.length; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return REQUEST_FRAMING;
		fields->length = fields->length * 10 + (uint64_t)(value.at[i] - '0');
	}
	fields->length_given = true;
	return REQUEST_FINE;
}

static enum request_reason on_coding(struct request_stream *stream, struct span value)
{
	if (stream->fields.chunked || !span_equals(value, "chunked"))
		return REQUEST_FRAMING;
	stream->fields.chunked = true;
	return REQUEST_FINE;
}

static enum request_reason on_connection(struct request_stream *stream, struct span value)
{
	struct span option;
	bool more = true;

	while (more) {
		more = span_split(&value, ',', &option);
		option = span_trim(more ? option : value);
		if (span_equals(option, "upgrade"))
			stream->fields.connection_upgrade = true;
		/* A proxy would remove the field, and pass on another request. */
		if (http_is_framing(option))
			return REQUEST_FRAMING;
	}
	return REQUEST_FINE;
}

static enum request_reason on_upgrade(struct request_stream *stream, struct span value)
{
	if (span_equals(value, "h2c"))
		return REQUEST_HTTP2;
	if (stream->head.upgrade || !span_equals(value, "websocket"))
		return REQUEST_UPGRADE;
	stream->head.upgrade = true;
	return REQUEST_FINE;
}

static enum request_reason on_settings(struct request_stream *stream, struct span value)
{
	(void)stream;
	(void)value;
	return REQUEST_HTTP2;
}

/* Some frameworks take these for the method or path of the request. */
static enum request_reason on_override(struct request_stream *stream, struct span value)
{
	(void)value;
	if (!stream->head.unclear)
		stream->head.unclear = "a field that can replace the method or the path";
	return REQUEST_FINE;
}

static const struct field {
	const char *name;
	enum request_reason (*take)(struct request_stream *stream, struct span value);
	bool exact; /* a name that only resembles it is refused */
	bool framing;
} known[] = {
	{"host", on_host, true, true},
	{"content-length", on_length, true, true},
	{"transfer-encoding", on_coding, true, true},
	{"connection", on_connection, true, false},
	{"upgrade", on_upgrade, true, false},
	{"http2-settings", on_settings, false, false},
	{"x-http-method-override", on_override, false, false},
	{"x-http-method", on_override, false, false},
	{"x-method-override", on_override, false, false},
	{"x-original-url", on_override, false, false},
	{"x-rewrite-url", on_override, false, false},
};

bool http_is_framing(struct span name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].framing && span_resembles(name, known[i].name))
			return true;
	return false;
}

static enum request_reason read_field(struct request_stream *stream, struct span line)
{
	struct span name, value;
	enum request_reason reason = http_split_field(line, &name, &value);
	size_t i;

	if (reason != REQUEST_FINE)
		return reason;
	if (++stream->fields.count > REQUEST_FIELDS_MAX)
		return REQUEST_TOO_LONG;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!span_resembles(name, known[i].name))
			continue;
		if (known[i].exact && !span_equals(name, known[i].name))
			return REQUEST_FIELD;
		return known[i].take(stream, value);
	}
	return REQUEST_FINE;
}

/* --- the head as a whole ---------------------------------------------------------------------- */

static uint16_t port_or_default(uint16_t port)
{
	return port ? port : PORT_HTTP;
}

static enum request_reason check_head(const struct request_stream *stream)
{
	const struct request_fields *fields = &stream->fields;
	const struct request_head *head = &stream->head;

	if (!fields->host)
		return REQUEST_HOSTS;
	if (fields->absolute && (strcmp(fields->url_host, head->host) != 0 ||
				 port_or_default(fields->url_port) != port_or_default(head->port)))
		return REQUEST_OTHER_HOST;
	if (head->port != 0 && head->port != stream->port)
		return REQUEST_OTHER_PORT;
	if (fields->chunked && (fields->length_given || head->version_1_0))
		return REQUEST_FRAMING;
	/* The response to it must be the server's first. */
	if (head->upgrade &&
	    (strcmp(head->method, "GET") != 0 || !fields->connection_upgrade || head->version_1_0 ||
	     fields->chunked || fields->length > 0 || stream->count > 0))
		return REQUEST_UPGRADE;
	return REQUEST_FINE;
}

/*
 * Content of these has no meaning (RFC 9110, 9.3.1, 9.3.2, 9.3.5, 9.3.8), and a server that leaves
 * it unread takes it for the next request.
 */
static bool is_bodiless(const char *method)
{
	static const char *const methods[] = {"GET", "HEAD", "DELETE", "TRACE"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

static enum request_verdict refuse(struct request_stream *stream, enum request_reason reason)
{
	stream->reason = reason;
	return REQUEST_REFUSED;
}

enum request_verdict http_read_head(struct request_stream *stream, const uint8_t *data,
				    size_t length)
{
	struct request_fields *fields = &stream->fields;
	enum request_reason reason;
	struct span line;

	if (!fields->line_done && !may_begin(data, length))
		return refuse(stream, REQUEST_NOT_HTTP);
	for (;;) {
		switch (span_line(data, length, fields->at, REQUEST_HEAD_MAX, &fields->searched,
				  &line)) {
		case SPAN_LINE_MORE:
			return REQUEST_MORE;
		case SPAN_LINE_BAD:
			return refuse(stream, REQUEST_LINE);
		case SPAN_LINE_TOO_LONG:
			return refuse(stream, REQUEST_TOO_LONG);
		case SPAN_LINE_WHOLE:
			break;
		}
		fields->at += line.length + 2;
		fields->searched = fields->at;
		if (fields->line_done && line.length == 0)
			break;
		reason = fields->line_done ? read_field(stream, line)
					   : read_request_line(stream, line);
		fields->line_done = true;
		if (reason != REQUEST_FINE)
			return refuse(stream, reason);
	}
	stream->head.length = fields->at;
	if ((fields->chunked || fields->length > 0) && is_bodiless(stream->head.method) &&
	    !stream->head.unclear)
		stream->head.unclear = "a body that a server may take for the next request";
	reason = check_head(stream);
	return reason == REQUEST_FINE ? REQUEST_READY : refuse(stream, reason);
}
