/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of HTTP/1 connections: lines, fields, hosts, bodies, upgrades. */
#include <stdio.h>

#include "tests/unit/relay_http_common.h"

static struct http_run run;

#define HOST "Host: a.example\r\n"

/* Allowed as the only request; all of it passes. */
static void allowed(const char *text, const char *seen)
{
	ck_assert_msg(http_text(&run, text) == REQUEST_MORE, "%s: %s", text,
		      request_reason_text(run.stream.reason));
	ck_assert_str_eq(run.seen, seen);
	ck_assert_uint_eq(run.passed, strlen(text));
}

/* Refused, and nothing of it passes but `passed` bytes. */
static void refused(const char *text, enum request_reason reason, size_t passed)
{
	ck_assert_msg(http_text(&run, text) == REQUEST_REFUSED, "%s", text);
	ck_assert_msg(run.stream.reason == reason, "%s: %s", text,
		      request_reason_text(run.stream.reason));
	ck_assert_uint_eq(run.passed, passed);
}

START_TEST(a_request_is_read)
{
	allowed("GET /x?q=/../%2f{} HTTP/1.1\r\nAccept: */*\r\nhOsT: \t A.Example \r\n\r\n",
		"GET a.example:0 /x\n");
	allowed("M-SEARCH / HTTP/1.0\r\nHost: a.example.:80\r\n\r\n", "M-SEARCH a.example:80 /\n");
	allowed("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS a.example:0 * unclear\n");
	allowed("GET HTTP://a.example/b HTTP/1.1\r\n" HOST "\r\n", "GET a.example:0 /b\n");
	allowed("GET http://a.example:80?q HTTP/1.1\r\n" HOST "\r\n", "GET a.example:0 /\n");
	allowed("GET / HTTP/1.1\r\nHost: 93.184.216.34\r\n\r\n", "GET 93.184.216.34:0 /\n");
	ck_assert(run.stream.count == 1);
	allowed("GET / HTTP/1.1\r\nHost: [2001:DB8:0::1]:80\r\n\r\n", "GET 2001:db8::1:80 /\n");
	allowed("GET / HTTP/1.1\r\n" HOST "X: \xc3\xa9\tz\r\nY:\r\n\r\n", "GET a.example:0 /\n");
}
END_TEST

START_TEST(nothing_passes_before_a_request_is_allowed)
{
	static const char text[] = "GET /x HTTP/1.1\r\n" HOST "\r\nGET /y HTTP/1.1\r\n" HOST "\r\n";
	const uint8_t *data = (const uint8_t *)text;
	size_t half = (sizeof(text) - 1) / 2, pass, cut;

	for (cut = 0; cut < half; cut++) {
		request_init(&run.stream, 80);
		ck_assert_int_eq(request_judge(&run.stream, data, cut, &pass), REQUEST_MORE);
		ck_assert_uint_eq(pass, 0);
	}
	/* An operator decides; meanwhile more arrives. */
	for (cut = half; cut < sizeof(text); cut++) {
		ck_assert_int_eq(request_judge(&run.stream, data, cut, &pass), REQUEST_READY);
		ck_assert_uint_eq(pass, 0);
		ck_assert_str_eq(run.stream.head.path, "/x");
	}
	request_permit(&run.stream);
	request_permit(&run.stream);
	ck_assert_int_eq(request_judge(&run.stream, data, cut, &pass), REQUEST_PASS);
	ck_assert_uint_eq(pass, half);
	ck_assert_int_eq(request_judge(&run.stream, data + half, half, &pass), REQUEST_READY);
	ck_assert_uint_eq(pass, 0);
	ck_assert_str_eq(run.stream.head.path, "/y");
}
END_TEST

START_TEST(other_protocols_are_refused)
{
	refused("\x16\x03\x01", REQUEST_NOT_HTTP, 0);
	refused("\r\nGET / HTTP/1.1\r\n" HOST "\r\n", REQUEST_NOT_HTTP, 0);
	refused("SSH-2.0-OpenSSH\r\n", REQUEST_NOT_HTTP, 0);
	refused("get / HTTP/1.1\r\n", REQUEST_NOT_HTTP, 0);
	refused("GeT / HTTP/1.1\r\n", REQUEST_NOT_HTTP, 0);
	refused("GET /\r\n", REQUEST_NOT_HTTP, 0);
	refused("GET / HTTP/1.1 \r\n", REQUEST_NOT_HTTP, 0);
	refused("GET  / HTTP/1.1\r\n", REQUEST_NOT_HTTP, 0);
	refused("GET\t/ HTTP/1.1\r\n", REQUEST_NOT_HTTP, 0);
	refused("GET / HTTP/1.2\r\n", REQUEST_NOT_HTTP, 0);
	refused("GET / http/1.1\r\n", REQUEST_NOT_HTTP, 0);
	refused("THISMETHODISFARTOOLONGTOBETRUEOK / HTTP/1.1\r\n", REQUEST_NOT_HTTP, 0);
	refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REQUEST_HTTP2, 0);
	refused("GET / HTTP/2.0\r\n", REQUEST_HTTP2, 0);
	refused("CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n", REQUEST_TUNNEL, 0);
	allowed("GET / HTTP/1.1\r\n" HOST "\r\n", "GET a.example:0 /\n");
}
END_TEST

START_TEST(targets_are_checked)
{
	static const char *const bad[] = {
		"a.example:80",
		"x",
		"*",
		"https://a.example/",
		"http://",
		"/a#b",
		"/a?b#c",
		"/a\\b",
		"/a|b",
		"/%zz",
		"/%2",
		"/caf\xc3\xa9",
		"http://u@a.example/",
		"http:///x",
		"//\x7f",
		"/a?\xc3\xa9",
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", bad[i]);
		refused(text, strchr(bad[i], '\x7f') ? REQUEST_LINE : REQUEST_TARGET, 0);
	}
	refused("GET http://b.example/ HTTP/1.1\r\n" HOST "\r\n", REQUEST_OTHER_HOST, 0);
	refused("GET http://a.example:81/ HTTP/1.1\r\n" HOST "\r\n", REQUEST_OTHER_HOST, 0);
	allowed("GET /a?b=c HTTP/1.1\r\n" HOST "\r\n", "GET a.example:0 /a\n");
}
END_TEST

START_TEST(lines_are_strict)
{
	refused("GET / HTTP/1.1\n" HOST "\r\n", REQUEST_LINE, 0);
	refused("GET / HTTP/1.1\r\nHost: a.example\n\r\n", REQUEST_LINE, 0);
	refused("GET / HTTP/1.1\r\nX: \rHost: c.d\r\n" HOST "\r\n", REQUEST_LINE, 0);
	refused("GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", REQUEST_LINE, 0);
	refused("GET / HTTP/1.1\r\n" HOST "\n", REQUEST_LINE, 0);
	refused("GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", REQUEST_FIELD, 0);
	refused("GET / HTTP/1.1\r\nX: y\r\n\tHost: b\r\n" HOST "\r\n", REQUEST_FIELD, 0);
	refused("GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", REQUEST_FIELD, 0);
	refused("GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", REQUEST_FIELD, 0);
	refused("GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", REQUEST_FIELD, 0);
	refused("GET / HTTP/1.1\r\n" HOST "Content_Length: 5\r\n\r\n", REQUEST_FIELD, 0);
	refused("GET / HTTP/1.1\r\n" HOST "Transfer_Encoding: x\r\n\r\n", REQUEST_FIELD, 0);
	ck_assert_int_eq(http_run(&run, "GET / HTTP/1.1\r\nX: \0\r\n", 22), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_LINE);
	allowed("GET / HTTP/1.1\r\n" HOST "X_Y: a b\r\n\r\n", "GET a.example:0 /\n");
}
END_TEST

START_TEST(hosts_are_checked)
{
	static const char *const bad[] = {
		"",	      ":80",	   "a b",     "a..b",	   "-a",    "a,b",	"a.b:0",
		"a.b:",	      "a.b:65536", "a.b:8x",  "a.b:80:80", "u@a.b", "10.1",	"0x7f.1",
		"2130706433", "[::1",	   "[::1]80", "[::g]",	   "[]",    "010.1.1.1"};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
		refused(text, REQUEST_HOST, 0);
	}
	refused("GET / HTTP/1.1\r\n\r\n", REQUEST_HOSTS, 0);
	refused("GET / HTTP/1.0\r\n\r\n", REQUEST_HOSTS, 0);
	refused("GET http://a.example/ HTTP/1.1\r\n\r\n", REQUEST_HOSTS, 0);
	refused("GET / HTTP/1.1\r\n" HOST HOST "\r\n", REQUEST_HOSTS, 0);
	refused("GET / HTTP/1.1\r\n" HOST "host: b\r\n\r\n", REQUEST_HOSTS, 0);
	refused("GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", REQUEST_OTHER_PORT, 0);
	run.switched = -1;
	ck_assert_int_eq(http_run_to(&run, 8080, "GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n", 32),
			 REQUEST_MORE);
	ck_assert_int_eq(http_run_to(&run, 8080, "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", 30),
			 REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_OTHER_PORT);
	allowed("GET / HTTP/1.1\r\nHost: 1e100.x_y.example:80\r\n\r\n",
		"GET 1e100.x_y.example:80 /\n");
}
END_TEST

/* A head with a line, and fields, of the given size. */
static enum request_verdict sized(size_t line, unsigned fields, size_t bytes)
{
	static char text[65536];
	size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST), i;

	if (line > 0)
		at += (size_t)sprintf(text + at, "X: %0*d\r\n", (int)line - 5, 0);
	for (i = 0; i < fields; i++)
		at += (size_t)sprintf(text + at, "X: y\r\n");
	while (bytes > at + 2)
		at += (size_t)sprintf(text + at, "X: %0*d\r\n",
				      (int)min_u64(4000, bytes - at - 2) - 5, 0);
	strcpy(text + at, "\r\n");
	return http_text(&run, text);
}

START_TEST(sizes_are_bounded)
{
	static char endless[20000];

	ck_assert_int_eq(sized(REQUEST_LINE_MAX, 0, 0), REQUEST_MORE);
	ck_assert_int_eq(sized(REQUEST_LINE_MAX + 1, 0, 0), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_TOO_LONG);
	ck_assert_int_eq(sized(0, REQUEST_FIELDS_MAX - 1, 0), REQUEST_MORE);
	ck_assert_int_eq(sized(0, REQUEST_FIELDS_MAX, 0), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_TOO_LONG);
	ck_assert_int_eq(sized(0, 0, REQUEST_HEAD_MAX), REQUEST_MORE);
	ck_assert_int_eq(sized(0, 0, REQUEST_HEAD_MAX + 10), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_TOO_LONG);
	memset(endless, 'A', sizeof(endless));
	memcpy(endless, "GET /", 5);
	ck_assert_int_eq(http_run(&run, endless, REQUEST_LINE_MAX - 1), REQUEST_MORE);
	ck_assert_int_eq(http_run(&run, endless, sizeof(endless)), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_TOO_LONG);
}
END_TEST

/* A client of another protocol may wait for the server before it ends its line. */
START_TEST(what_is_no_method_is_refused_without_a_line)
{
	static const char method[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-ABCDEF";

	ck_assert_int_eq(http_text(&run, "SSH-"), REQUEST_MORE);
	ck_assert_int_eq(http_text(&run, "SSH-2"), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_NOT_HTTP);
	ck_assert_int_eq(http_run(&run, method, REQUEST_METHOD_TEXT - 1), REQUEST_MORE);
	ck_assert_int_eq(http_run(&run, method, REQUEST_METHOD_TEXT), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_NOT_HTTP);
	ck_assert_int_eq(http_text(&run, "get / HTTP/1.1\r\n"), REQUEST_REFUSED);
	ck_assert_int_eq(http_text(&run, "M-SEARCH /"), REQUEST_MORE);
}
END_TEST

START_TEST(upgrades_are_to_websocket_only)
{
#define UPGRADE(method, version, fields) method " /ws " version "\r\n" HOST fields "\r\n"
	static const char good[] = UPGRADE(
		"GET", "HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n");
	char text[512];

	ck_assert_int_eq(http_text(&run, good), REQUEST_SWITCH);
	ck_assert_uint_eq(run.passed, strlen(good));
	ck_assert_str_eq(run.seen, "GET a.example:0 /ws\n");
	refused(UPGRADE("GET", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
		REQUEST_HTTP2, 0);
	refused(UPGRADE("GET", "HTTP/1.1", "HTTP2-Settings: x\r\n"), REQUEST_HTTP2, 0);
	refused(UPGRADE("GET", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"),
		REQUEST_UPGRADE, 0);
	refused(UPGRADE("GET", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
		REQUEST_UPGRADE, 0);
	refused(UPGRADE("GET", "HTTP/1.1", "Upgrade: websocket\r\n"), REQUEST_UPGRADE, 0);
	refused(UPGRADE("GET", "HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
		REQUEST_UPGRADE, 0);
	refused(UPGRADE("POST", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
		REQUEST_UPGRADE, 0);
	refused(UPGRADE("GET", "HTTP/1.1",
			"Content-Length: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
		REQUEST_UPGRADE, 0);
	/* Only as the first request: its response must be the server's first. */
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "\r\n%s", good);
	refused(text, REQUEST_UPGRADE, strlen(text) - strlen(good));
	allowed("GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\n\r\n", "GET a.example:0 /\n");
}
END_TEST

START_TEST(an_upgraded_stream_is_opaque_and_no_other)
{
	static const char text[] = UPGRADE(
		"GET", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n") "\x81\x05hello";

	run.switched = 1;
	ck_assert_int_eq(http_run(&run, text, sizeof(text) - 1), REQUEST_OPAQUE);
	ck_assert_uint_eq(run.passed, sizeof(text) - 1);
	/* The server does not switch: what follows are requests. */
	run.switched = 0;
	ck_assert_int_eq(http_run(&run, text, sizeof(text) - 1), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_NOT_HTTP);
	ck_assert_uint_eq(run.passed, sizeof(text) - 8);
}
END_TEST

static enum request_response response(const char *text)
{
	return request_read_response((const uint8_t *)text, strlen(text));
}

START_TEST(the_response_to_an_upgrade_is_read)
{
	static const char early[] = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
				    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
	static const char no[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n";
	size_t cut, end = strlen("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
				 "HTTP/1.1 101 Switching Protocols\r\n");

	for (cut = 0; cut < sizeof(early); cut++)
		ck_assert_int_eq(request_read_response((const uint8_t *)early, cut),
				 cut < end ? RESPONSE_MORE : RESPONSE_SWITCHED);
	ck_assert_int_eq(response(no), RESPONSE_OTHER);
	ck_assert_int_eq(response("HTTP/1.1 200 OK\r\n"), RESPONSE_OTHER);
	ck_assert_int_eq(response("HTTP/1.0 101 OK\r\n"), RESPONSE_OTHER);
	ck_assert_int_eq(response("HTTP/1.1 200 101\r\n"), RESPONSE_OTHER);
	ck_assert_int_eq(response("HTTP/1.1 101 OK\n"), RESPONSE_OTHER);
	ck_assert_int_eq(response("\r\n"), RESPONSE_OTHER);
}
END_TEST

UNIT_MAIN("relay_http", a_request_is_read, nothing_passes_before_a_request_is_allowed,
	  other_protocols_are_refused, targets_are_checked, lines_are_strict, hosts_are_checked,
	  sizes_are_bounded, what_is_no_method_is_refused_without_a_line,
	  upgrades_are_to_websocket_only, an_upgraded_stream_is_opaque_and_no_other,
	  the_response_to_an_upgrade_is_read)
