/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of lines of HTTP, and the files of the parser: private to it. */
#ifndef CORDON_RELAY_HTTP_TEXT_H
#define CORDON_RELAY_HTTP_TEXT_H

#include <string.h>

#include "vmm/relay/http_request.h"

struct span {
	const char *at;
	size_t length;
};

/* Splits off what comes before the separator; false if there is none. */
bool span_split(struct span *text, char separator, struct span *head);

/* Whether it is a token (RFC 9110, 5.6.2). */
bool span_is_token(struct span text);

/* Without spaces and tabs around it. */
struct span span_trim(struct span text);

/* Compares without regard to case. lower has no capital letters. */
bool span_equals(struct span text, const char *lower);

/* The same, and '_' equals '-': gateways give programs one variable for both. */
bool span_resembles(struct span text, const char *lower);

enum span_line { SPAN_LINE_MORE, SPAN_LINE_WHOLE, SPAN_LINE_BAD, SPAN_LINE_TOO_LONG };

/*
 * The line that begins at byte `at`, without its CR LF, if it ends within limit bytes of data.
 * *searched: up to where no end was found, for the next call.
 */
enum span_line span_line(const uint8_t *data, size_t length, size_t at, size_t limit,
			 size_t *searched, struct span *line);

/* --- http_head.c ------------------------------------------------------------------------------ */

/* Splits a line into the name of a field and its value. REQUEST_FINE or REQUEST_FIELD. */
enum request_reason http_split_field(struct span line, struct span *name, struct span *value);

/* Whether a trailer may not have this name, as it would change how the request is read. */
bool http_is_framing(struct span name);

/* Reads the head as far as it is there. MORE, READY or REFUSED, with stream->reason. */
enum request_verdict http_read_head(struct request_stream *stream, const uint8_t *data,
				    size_t length);

/* --- http_target.c ---------------------------------------------------------------------------- */

/* Reads the target of a request line into head, and the host of a URL into fields. */
enum request_reason http_read_target(struct span target, struct request_head *head,
				     struct request_fields *fields);

/* Reads "name", "name:port" or an address in the place of the name. */
bool http_read_host(struct span text, char host[REQUEST_HOST_TEXT], bool *address, uint16_t *port);

/* --- http_path.c ------------------------------------------------------------------------------ */

/* The value of two hexadecimal digits, or -1. */
int http_escape(const char *digits);

#endif
