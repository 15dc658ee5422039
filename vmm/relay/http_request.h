/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges what a client sends over clear-text HTTP/1 (RFC 9112): every request of a connection,
 * pipelined ones too, before a byte of it passes.
 *
 * The input is the stream from the guest, in order, as it would be forwarded. At each call, data
 * begins at the first byte that was not yet forwarded, so the caller keeps the bytes that may not
 * pass yet: REQUEST_HEAD_MAX at most. How the bytes are split between calls changes no verdict.
 *
 *	REQUEST_MORE -> REQUEST_READY -> the caller decides about stream.head, request_permit()
 *	-> REQUEST_PASS (head and body) -> REQUEST_MORE -> ...
 *
 * Strict, so that no server can see other requests than those judged here: what RFC 9112 lets a
 * server read in two ways, or only deprecates, is refused.
 *
 * Pure: no time, no descriptors, nothing allocated.
 */
#ifndef CORDON_RELAY_HTTP_REQUEST_H
#define CORDON_RELAY_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/net/dns.h"

#define REQUEST_LINE_MAX    8192  /* bytes of a line, its end included */
#define REQUEST_HEAD_MAX    16384 /* bytes of a request line and its fields; of all trailers */
#define REQUEST_FIELDS_MAX  100	  /* of a request; of its trailers */
#define REQUEST_METHOD_TEXT 32
#define REQUEST_PATH_MAX    4096
#define REQUEST_HOST_TEXT   DNS_NAME_TEXT

enum request_verdict {
	REQUEST_MORE,	/* nothing may pass until there are more bytes */
	REQUEST_READY,	/* decide about stream.head; until request_permit() nothing may pass */
	REQUEST_PASS,	/* *pass bytes may pass, more than 0; then call again with the rest */
	REQUEST_SWITCH, /* nothing may pass until request_switched() */
	REQUEST_OPAQUE, /* everything may pass, now and from now on */
	REQUEST_REFUSED /* nothing may pass any more, see stream.reason */
};

enum request_reason {
	REQUEST_FINE,
	REQUEST_NOT_HTTP,   /* no request line of HTTP/1.0 or HTTP/1.1 */
	REQUEST_HTTP2,	    /* its preface, or an upgrade to it */
	REQUEST_TUNNEL,	    /* CONNECT */
	REQUEST_TARGET,	    /* neither a path nor an http URL, or no valid one */
	REQUEST_LINE,	    /* a bare CR or LF, or a control character */
	REQUEST_FIELD,	    /* no "name: value": folded, a space before the colon */
	REQUEST_TOO_LONG,   /* a line, all lines, or the number of fields */
	REQUEST_HOSTS,	    /* not exactly one Host */
	REQUEST_HOST,	    /* no valid name, address or port */
	REQUEST_OTHER_HOST, /* the URL in the request line has another host or port */
	REQUEST_OTHER_PORT, /* the connection is to another port */
	REQUEST_FRAMING,    /* Content-Length and Transfer-Encoding: two, both, or other codings */
	REQUEST_CHUNK,	    /* a malformed chunk, or one with an extension */
	REQUEST_UPGRADE	    /* to something else than websocket, or not in the first request */
};

/* A request, without its body. */
struct request_head {
	char method[REQUEST_METHOD_TEXT];
	/* As dns_name_normalise() does, or an IPv4 or IPv6 address (without brackets). */
	char host[REQUEST_HOST_TEXT];
	bool address;  /* host is an address */
	uint16_t port; /* in the Host field; 0: none */
	/*
	 * The target's path without its query, normalised: escapes of unreserved characters are
	 * decoded, others have capital letters; a '/' at the end is dropped. "*" of OPTIONS.
	 */
	char path[REQUEST_PATH_MAX + 1];
	/*
	 * A constant string: why two servers could read path (or method) in two ways, so that no
	 * rule about paths and methods may allow the request; path is for messages only then. NULL:
	 * they cannot.
	 */
	const char *unclear;
	bool upgrade; /* to websocket: what follows is judged only as part of this request */
	bool version_1_0;
	size_t length; /* bytes of the head in the stream */
};

/* What the fields that delimit a body said. */
struct request_fields {
	size_t at, searched; /* the current line, and up to where it has no end */
	unsigned count;
	bool line_done; /* the request line was read */
	bool host, length_given, chunked, connection_upgrade, absolute;
	char url_host[REQUEST_HOST_TEXT];
	uint16_t url_port;
	uint64_t length;
};

struct request_stream {
	enum {
		REQUEST_AT_HEAD,
		REQUEST_AT_CHUNK,
		REQUEST_AT_CHUNK_END,
		REQUEST_AT_TRAILERS,
		REQUEST_AT_SWITCH,
		REQUEST_AT_OPAQUE,
		REQUEST_AT_END,
	} stage;	/* after the bytes that may still pass */
	uint64_t left;	/* bytes that may pass before that stage */
	uint16_t port;	/* of the connection */
	uint64_t count; /* requests that were permitted */
	bool ready;
	enum request_reason reason;
	struct request_head head;
	struct request_fields fields;
	size_t trailer_bytes;
};

/* port: the one that the connection is to. */
void request_init(struct request_stream *stream, uint16_t port);

/*
 * Judges length bytes that were not yet forwarded. *pass: how many of them may be forwarded; 0
 * unless REQUEST_PASS or REQUEST_OPAQUE.
 */
enum request_verdict request_judge(struct request_stream *stream, const uint8_t *data,
				   size_t length, size_t *pass);

/* After REQUEST_READY: the request is allowed. */
void request_permit(struct request_stream *stream);

/*
 * After REQUEST_SWITCH: whether the server's response to the upgrade is 101. If so, the rest of the
 * connection is opaque; otherwise it is requests again.
 */
void request_switched(struct request_stream *stream, bool switched);

enum request_response { RESPONSE_MORE, RESPONSE_SWITCHED, RESPONSE_OTHER };

/*
 * Reads the response to a first request with an upgrade: data is everything that the server has
 * sent since the connection began. Interim responses (100, 103) are skipped. What is malformed, or
 * longer than REQUEST_HEAD_MAX, is RESPONSE_OTHER.
 */
enum request_response request_read_response(const uint8_t *data, size_t length);

/*
 * Normalises a path, without a query, into head->path and head->unclear. false: not the path of a
 * URL. raw begins with '/'.
 */
bool request_read_path(const char *raw, size_t length, struct request_head *head);

/* For messages and the log: "a request without exactly one Host". */
const char *request_reason_text(enum request_reason reason);

#endif
