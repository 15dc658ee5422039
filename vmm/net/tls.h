/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extracts the name in a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3) from the first bytes of a
 * connection, however they are split into segments and records.
 *
 * Pure: call it again with more bytes until it has decided. Allocates nothing.
 */
#ifndef CORDON_NET_TLS_H
#define CORDON_NET_TLS_H

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
	TLS_BAD,       /* not TLS, malformed, an invalid name, or longer than TLS_PEEK_MAX */
};

/* name: normalised as dns_name_normalise() does; "" unless TLS_NAME. */
enum tls_peek tls_peek(const uint8_t *data, size_t length, char name[DNS_NAME_TEXT]);

#endif
