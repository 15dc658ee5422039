/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of HTTP streams share: a caller that allows every request and takes notes. */
#ifndef CORDON_TEST_RELAY_HTTP_COMMON_H
#define CORDON_TEST_RELAY_HTTP_COMMON_H

#include <string.h>

#include "tests/support/unit.h"
#include "vmm/relay/http_request.h"

#define SEEN_MAX 65536

struct http_run {
	struct request_stream stream;
	size_t passed;	     /* bytes that were forwarded */
	char seen[SEEN_MAX]; /* a line "METHOD host:port path" for each request */
	int switched;	     /* the server's response to an upgrade; -1: none yet */
};

/*
 * Judges length bytes at once, byte by byte and in random portions, as a connection to port 80 (or
 * 8080); all must agree. Returns the last verdict; *run is how it ended.
 */
enum request_verdict http_run(struct http_run *run, const char *data, size_t length);
enum request_verdict http_run_to(struct http_run *run, uint16_t port, const char *data,
				 size_t length);

/* As http_run(), for text; no upgrade is responded to. */
enum request_verdict http_text(struct http_run *run, const char *text);

#endif
