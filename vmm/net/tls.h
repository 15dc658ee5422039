/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name in a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3), out of the first bytes of a
 * connection, however they are cut into segments and records.
 *
 * Pure: called again with more bytes until it has decided. Nothing is allocated.
 */
#ifndef CORDON_NET_TLS_H
#define CORDON_NET_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/net/dns.h"

/* The most that is looked at: a ClientHello with post-quantum keys takes about 2 KiB. */
#define TLS_PEEK_MAX 16384

enum tls_peek {
	TLS_MORE,      /* not all of it is here yet */
	TLS_NAME,      /* it names a server */
	TLS_NO_NAME,   /* it is whole and names none */
	TLS_ENCRYPTED, /* it has an encrypted ClientHello or name, which nobody here can check */
	TLS_BAD,       /* no TLS, malformed, a name that is none, or longer than TLS_PEEK_MAX */
};

/* name: normalised as dns_name_normalise() does; "" unless TLS_NAME. */
enum tls_peek tls_peek(const uint8_t *data, size_t length, char name[DNS_NAME_TEXT]);

#endif
