/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extracts method and host of a clear-text HTTP/1 request (RFC 9112, 3) from the first bytes of a
 * connection. Strict: anything that two programs could read in two ways is refused. Pure, as tls.h.
 */
#ifndef CORDON_NET_HTTP_H
#define CORDON_NET_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/net/dns.h"

#define HTTP_PEEK_MAX	16384
#define HTTP_METHOD_MAX 32

enum http_peek {
	HTTP_MORE, /* the headers are not complete yet */
	HTTP_NAME, /* a request with one host, a name or an IPv4 address */
	HTTP_BAD,  /* not HTTP/1, malformed, no Host or two, CONNECT, longer than HTTP_PEEK_MAX */
};

struct http_request {
	char method[HTTP_METHOD_MAX];
	char name[DNS_NAME_TEXT]; /* normalised as dns_name_normalise() does */
	uint16_t port;		  /* in the Host field; 0: none */
};

enum http_peek http_peek(const uint8_t *data, size_t length, struct http_request *request);

#endif
