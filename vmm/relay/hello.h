/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges what a TLS client sends: the name in its ClientHello (RFC 8446, 4.1.2; RFC 6066, 3), and
 * that a second ClientHello, which follows a HelloRetryRequest, has the same name.
 *
 * The input is the stream from the guest, in order, as it would be forwarded. At each call, data
 * begins at the first byte that was not yet forwarded, so the caller keeps the bytes that may not
 * pass yet: HELLO_HELD_MAX at most. How the bytes are split between calls changes no verdict.
 *
 *	HELLO_MORE -> HELLO_NAME -> the caller decides about hello.name, hello_permit()
 *	-> HELLO_PASS ... -> HELLO_OPAQUE for the rest of the connection
 *
 * Between the first ClientHello and the client's first encrypted byte, records are followed one by
 * one, and a ClientHello among them is held until it is complete.
 *
 * Pure: no time, no descriptors, nothing allocated.
 */
#ifndef CORDON_RELAY_HELLO_H
#define CORDON_RELAY_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/net/tls.h"

#define HELLO_HELD_MAX TLS_PEEK_MAX

enum hello_verdict {
	HELLO_MORE,    /* nothing may pass until there are more bytes */
	HELLO_NAME,    /* decide about hello.name; until hello_permit() nothing may pass */
	HELLO_PASS,    /* *pass bytes may pass, more than 0; then call again with the rest */
	HELLO_OPAQUE,  /* everything may pass, now and from now on */
	HELLO_REFUSED, /* nothing may pass any more, see hello.reason */
};

enum hello_reason {
	HELLO_FINE,
	HELLO_NO_NAME,	    /* a complete ClientHello without a name */
	HELLO_ENCRYPTED,    /* ECH: the name that counts cannot be read */
	HELLO_ADDRESS,	    /* an address instead of a name (RFC 6066 forbids it) */
	HELLO_INVALID_NAME, /* a name that DNS does not have */
	HELLO_NOT_TLS,
	HELLO_MALFORMED,
	HELLO_TOO_LONG,	  /* more than HELLO_HELD_MAX bytes */
	HELLO_OTHER_NAME, /* a second ClientHello with another name, or none */
};

struct hello {
	enum { HELLO_FIRST, HELLO_RECORDS, HELLO_DONE, HELLO_ENDED } stage;
	enum hello_reason reason;
	char name[DNS_NAME_TEXT]; /* normalised as dns_name_normalise() does */
	size_t pass;		  /* bytes that may pass before the next record */
	bool found, early_data;
};

void hello_init(struct hello *hello);

/*
 * Judges length bytes that were not yet forwarded. *pass: how many of them may be forwarded; 0
 * unless HELLO_PASS or HELLO_OPAQUE. A refusal for HELLO_NO_NAME or HELLO_ENCRYPTED of the first
 * ClientHello is a caller's to overrule where a rule goes by address; it then forwards everything.
 */
enum hello_verdict hello_judge(struct hello *hello, const uint8_t *data, size_t length,
			       size_t *pass);

/* After HELLO_NAME: the name is allowed. */
void hello_permit(struct hello *hello);

/* For messages and the log: "the ClientHello names no server". */
const char *hello_reason_text(enum hello_reason reason);

#endif
