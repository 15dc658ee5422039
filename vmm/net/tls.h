/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extracts the name in a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3) from the first bytes of a
 * connection, however they are split into segments and records.
 *
 * Pure: call it again with more bytes until it has decided. Allocates nothing.
 */
#ifndef CORDON_NET_TLS_H
#define CORDON_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/net/dns.h"

/* The most bytes to parse: a ClientHello with post-quantum keys takes about 2 KiB. */
#define TLS_PEEK_MAX 16384

enum tls_peek {
	TLS_MORE,      /* incomplete */
	TLS_NAME,      /* it names a server */
	TLS_NO_NAME,   /* complete, without a name */
	TLS_ENCRYPTED, /* an encrypted ClientHello or name, which cannot be checked */
	TLS_BAD,       /* see enum tls_fault */
};

/* Why a hello is TLS_BAD. */
enum tls_fault {
	TLS_NO_FAULT,
	TLS_NOT_TLS,	  /* not a handshake record, or another message than a ClientHello */
	TLS_MALFORMED,	  /* its lengths contradict each other, or it has two names */
	TLS_INVALID_NAME, /* a name that dns_name_normalise() refuses */
	TLS_TOO_LONG,	  /* longer than TLS_PEEK_MAX, headers of records included */
};

struct tls_hello {
	char name[DNS_NAME_TEXT]; /* normalised as dns_name_normalise() does; "" unless TLS_NAME */
	enum tls_fault fault;
	size_t length;	 /* once it is complete: bytes of the stream up to the message's end */
	bool record_on;	 /* its last record goes on behind the message */
	bool early_data; /* the client may send application data before the server's reply */
};

/* Reads a ClientHello that begins at data[0]. Of a longer prefix it decides the same. */
enum tls_peek tls_read_hello(const uint8_t *data, size_t length, struct tls_hello *hello);

#endif
