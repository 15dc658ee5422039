/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges what the guest sends on one connection, as far as rules about names and requests need it:
 * tells TLS from HTTP by the first byte, and gives the bytes to hello.h or http_request.h.
 *
 *	JUDGE_MORE -> JUDGE_DECIDE -> the caller decides about judge.subject, judge_permit()
 *	-> JUDGE_PASS ... , and for HTTP JUDGE_DECIDE again at each request
 *
 * At each call, data begins at the first byte that was not yet forwarded. How the bytes are split
 * between calls changes no verdict. No time, no descriptors.
 */
#ifndef CORDON_RELAY_JUDGE_H
#define CORDON_RELAY_JUDGE_H

#include "vmm/policy/policy.h"
#include "vmm/relay/hello.h"
#include "vmm/relay/http_request.h"

enum judge_verdict {
	JUDGE_MORE,    /* nothing may pass until there are more bytes */
	JUDGE_DECIDE,  /* decide about judge.subject; until judge_permit() nothing may pass */
	JUDGE_PASS,    /* *pass bytes may pass, more than 0; then call again with the rest */
	JUDGE_OPAQUE,  /* everything may pass, now and from now on */
	JUDGE_SWITCH,  /* nothing may pass until judge_switched() */
	JUDGE_REFUSED, /* nothing may pass any more: judge.why */
};

/* What is to be decided about. Strings are valid until the next call. */
struct judge_subject {
	enum policy_protocol protocol; /* POLICY_TLS or POLICY_HTTP */
	const char
		*name; /* normalised; NULL: none, or an address: only a rule by address opens it */
	const char *address;	   /* HTTP: the Host is this address; or NULL */
	const char *method, *path; /* HTTP */
	bool unclear;
	const char *why; /* a constant, if name is NULL: why there is none */
};

struct judge {
	enum { JUDGE_FIRST_BYTE, JUDGE_TLS, JUDGE_HTTP, JUDGE_DONE } kind;
	bool tls, http; /* protocols that some rule might allow */
	uint16_t port;
	struct judge_subject subject;
	const char *why; /* JUDGE_REFUSED: a constant */
	struct hello hello;
	bool nameless; /* the first ClientHello names no server that can be checked */
	struct request_stream *http_stream; /* allocated while requests are judged */
};

void judge_init(struct judge *judge, bool tls, bool http, uint16_t port);
void judge_destroy(struct judge *judge); /* works on zeros, and twice */

/* *pass: how many bytes may be forwarded; 0 unless JUDGE_PASS or JUDGE_OPAQUE. */
enum judge_verdict judge_bytes(struct judge *judge, const uint8_t *data, size_t length,
			       size_t *pass);

/* Whether all that follows may pass: the next call would say JUDGE_OPAQUE. */
bool judge_is_over(const struct judge *judge);

/* After JUDGE_DECIDE: the subject is allowed. */
void judge_permit(struct judge *judge);

/* After JUDGE_SWITCH: whether the server has agreed to change the protocol (response 101). */
void judge_switched(struct judge *judge, bool switched);

#endif
