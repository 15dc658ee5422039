/* SPDX-License-Identifier: Apache-2.0 */
/* Where one request ends and the next one begins, and paths as rules see them. */
#include <stdio.h>

#include "tests/unit/relay_http_common.h"

#define POST   "POST /p HTTP/1.1\r\nHost: a\r\n"
#define GET    "GET /g HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKS POST "Transfer-Encoding: chunked\r\n\r\n"

static struct http_run run;

static void allowed(const char *text, const char *seen)
{
	ck_assert_msg(http_text(&run, text) == REQUEST_MORE, "%s: %s", text,
		      request_reason_text(run.stream.reason));
	ck_assert_str_eq(run.seen, seen);
	ck_assert_uint_eq(run.passed, strlen(text));
}

/* Refused with this reason behind `head`, which passes. */
static void refused_behind(const char *head, const char *text, enum request_reason reason)
{
	char all[1024];

	snprintf(all, sizeof(all), "%s%s", head, text);
	ck_assert_msg(http_text(&run, all) == REQUEST_REFUSED, "%s", all);
	ck_assert_msg(run.stream.reason == reason, "%s: %s", all,
		      request_reason_text(run.stream.reason));
	ck_assert_uint_eq(run.passed, strlen(head));
}

START_TEST(every_request_of_a_connection_is_seen)
{
	allowed(GET GET GET, "GET a:0 /g\nGET a:0 /g\nGET a:0 /g\n");
	allowed(POST "Content-Length: 5\r\n\r\nGET /" GET, "POST a:0 /p\nGET a:0 /g\n");
	allowed(POST "Content-Length: 0\r\n\r\n" GET, "POST a:0 /p\nGET a:0 /g\n");
	allowed(POST "Content-Length: 007\r\n\r\n1234567" GET, "POST a:0 /p\nGET a:0 /g\n");
	allowed("GET /1 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" GET,
		"GET a:0 /1\nGET a:0 /g\n");
	allowed(CHUNKS "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n" GET, "POST a:0 /p\nGET a:0 /g\n");
	allowed(CHUNKS "0\r\n\r\n" GET, "POST a:0 /p\nGET a:0 /g\n");
	allowed(CHUNKS "000000000000002\r\n\r\n\r\n0\r\nDigest: x\r\nY: z\r\n\r\n" GET,
		"POST a:0 /p\nGET a:0 /g\n");
	refused_behind(GET, "DELETE /x HTTP/1.1\r\n\r\n", REQUEST_HOSTS);
	refused_behind(CHUNKS "0\r\n\r\n", "\r\n", REQUEST_NOT_HTTP);
}
END_TEST

START_TEST(a_body_passes_as_it_comes)
{
	ck_assert_int_eq(http_text(&run, POST "Content-Length: 999999999999999999\r\n\r\nab"),
			 REQUEST_MORE);
	ck_assert_uint_eq(run.passed, strlen(POST) + 38 + 2);
	ck_assert_int_eq(http_text(&run, CHUNKS "FFFFFFFFFFFFFFF\r\nab"), REQUEST_MORE);
	ck_assert_uint_eq(run.passed, strlen(CHUNKS) + 17 + 2);
}
END_TEST

START_TEST(lengths_with_two_readings_are_refused)
{
	static const char *const bad[] = {
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		"Content-Length: 5\r\nContent-Length: 5\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n",
		"Content-Length: 5, 5\r\n",
		"Content-Length: +5\r\n",
		"Content-Length: -5\r\n",
		"Content-Length: 0x5\r\n",
		"Content-Length: 5 5\r\n",
		"Content-Length:\r\n",
		"Content-Length: 1000000000000000000\r\n",
		"Transfer-Encoding: gzip\r\n",
		"Transfer-Encoding: identity\r\n",
		"Transfer-Encoding: chunked, gzip\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Transfer-Encoding: chunked,\r\n",
		"Transfer-Encoding: \"chunked\"\r\n",
		"Transfer-Encoding:\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Connection: close, Content-Length\r\n",
		"Connection: transfer-encoding\r\n",
		"Connection: host\r\n",
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), POST "%s", bad[i]);
		refused_behind("", text, REQUEST_FRAMING);
	}
	refused_behind("", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		       REQUEST_FRAMING);
	allowed(POST "Transfer-Encoding:\tChunked \r\n\r\n0\r\n\r\n", "POST a:0 /p\n");
	allowed(POST "Content-Length: 5 \r\nConnection: close\r\n\r\n12345", "POST a:0 /p\n");
}
END_TEST

START_TEST(chunks_are_strict)
{
	static const char *const bad[] = {
		"\r\n",	     "x\r\n",
		" 5\r\n",    "5 \r\n",
		"5;a=b\r\n", "5\n",
		"5\rx",	     "0x5\r\n",
		"-1\r\n",    "0000000000000005\r\n",
		";\r\n",     "5\t\r\n",
		"5\"\r\n",   "FFFFFFFFFFFFFFFF\r\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		refused_behind(CHUNKS, bad[i], REQUEST_CHUNK);
	refused_behind(CHUNKS "3\r\nabc", "d\r\n", REQUEST_CHUNK);
	refused_behind(CHUNKS "3\r\nabc", "\n", REQUEST_CHUNK);
	refused_behind(CHUNKS "3\r\nabc", "\r0", REQUEST_CHUNK);
	allowed(CHUNKS "3\r\nabc\r\n", "POST a:0 /p\n");
}
END_TEST

START_TEST(trailers_are_checked)
{
	static char many[REQUEST_HEAD_MAX * 2];
	size_t at, i;

	refused_behind(CHUNKS "0\r\n", "Host: b\r\n", REQUEST_FIELD);
	refused_behind(CHUNKS "0\r\n", "Content-Length: 5\r\n", REQUEST_FIELD);
	refused_behind(CHUNKS "0\r\n", "transfer_encoding: x\r\n", REQUEST_FIELD);
	refused_behind(CHUNKS "0\r\n", " folded\r\n", REQUEST_FIELD);
	refused_behind(CHUNKS "0\r\nX: y\r\n", "GET / HTTP/1.1\r\n", REQUEST_FIELD);
	refused_behind(CHUNKS "0\r\n", "X: y\n", REQUEST_LINE);
	refused_behind(CHUNKS "0\r\n", "\n", REQUEST_LINE);
	at = (size_t)sprintf(many, CHUNKS "0\r\n");
	for (i = 0; i < REQUEST_FIELDS_MAX; i++)
		at += (size_t)sprintf(many + at, "X: y\r\n");
	ck_assert_int_eq(http_text(&run, many), REQUEST_MORE);
	sprintf(many + at, "X: y\r\n");
	ck_assert_int_eq(http_text(&run, many), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_TOO_LONG);
	/* Five lines of 4,000 bytes. */
	at = (size_t)sprintf(many, CHUNKS "0\r\n");
	for (i = 0; i < 5; i++)
		at += (size_t)sprintf(many + at, "X: %03995d\r\n", 0);
	ck_assert_int_eq(http_text(&run, many), REQUEST_REFUSED);
	ck_assert_int_eq(run.stream.reason, REQUEST_TOO_LONG);
}
END_TEST

/* --- paths ------------------------------------------------------------------------------------ */

static void path_is(const char *raw, const char *path)
{
	char text[1024], seen[1024];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", raw);
	snprintf(seen, sizeof(seen), "GET a:0 %s\n", path);
	allowed(text, seen);
}

static void path_is_unclear(const char *raw)
{
	char text[1024];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", raw);
	ck_assert_msg(http_text(&run, text) == REQUEST_MORE, "%s", raw);
	ck_assert_msg(strstr(run.seen, " unclear\n") != NULL, "%s", raw);
}

START_TEST(paths_are_normalised)
{
	path_is("/", "/");
	path_is("/v1/users/", "/v1/users");
	path_is("/%76%31/%7e/%2D%5F", "/v1/~/-_");
	path_is("/a%20b/caf%c3%a9", "/a%20b/caf%C3%A9");
	path_is("/%e0%a4%a0/%f0%9f%98%80", "/%E0%A4%A0/%F0%9F%98%80");
	path_is("/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b");
	path_is("/.git/..x/x../...", "/.git/..x/x../...");
	path_is("/100%25", "/100%25");
	path_is("/a%3fb%23", "/a%3Fb%23");
	path_is("http://a/x%41", "/xA");
}
END_TEST

START_TEST(paths_with_two_readings_are_unclear)
{
	static const char *const raw[] = {
		"/a/../b",	"/..",	   "/.",       "/a/.",	     "/a/%2e%2e/b",   "/a/.%2E",
		"//",		"//a",	   "/a//b",    "/a//",	     "/a%2Fb",	      "/a%2fb",
		"/a%5cb",	"/a%00",   "/a%0d%0a", "/a%7f",	     "/a;x=y/b",      "/a%3bx",
		"/a%252e%252e", "/%c0%af", "/%c1%9c",  "/%e0%80%af", "/%f0%80%80%af", "/%ff",
		"/%e0",
	};
	char text[700];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(raw); i++)
		path_is_unclear(raw[i]);
	snprintf(text, sizeof(text), "/%0255d", 0);
	path_is(text, text);
	snprintf(text, sizeof(text), "/%0256d", 0);
	path_is_unclear(text);
}
END_TEST

START_TEST(paths_of_any_length_fit)
{
	static char raw[REQUEST_LINE_MAX], text[REQUEST_LINE_MAX + 64];
	size_t length, i;

	for (length = REQUEST_PATH_MAX - 3; length < REQUEST_PATH_MAX + 300; length++) {
		raw[0] = '\0';
		for (i = 0; i < length; i++)
			raw[i] = i % 100 ? 'x' : '/';
		raw[length] = '\0';
		sprintf(text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", raw);
		request_init(&run.stream, 80);
		ck_assert_int_eq(
			request_judge(&run.stream, (const uint8_t *)text, strlen(text), &i),
			REQUEST_READY);
		ck_assert_int_eq(run.stream.head.unclear != NULL, length > REQUEST_PATH_MAX);
		if (length <= REQUEST_PATH_MAX)
			ck_assert_str_eq(run.stream.head.path, raw);
	}
}
END_TEST

/* Some servers, such as Python's, do not read it: for them it is the next request. */
START_TEST(a_body_where_none_is_expected_is_unclear)
{
	static const char *const method[] = {"GET", "HEAD", "DELETE", "TRACE"};
	static const char *const body[] = {"Content-Length: 1\r\n\r\nx",
					   "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
	char text[256], seen[64];
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(method); i++) {
		for (j = 0; j < ARRAY_SIZE(body); j++) {
			snprintf(text, sizeof(text), "%s /p HTTP/1.1\r\nHost: a\r\n%s", method[i],
				 body[j]);
			snprintf(seen, sizeof(seen), "%s a:0 /p unclear\n", method[i]);
			allowed(text, seen);
		}
		snprintf(text, sizeof(text),
			 "%s /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method[i]);
		snprintf(seen, sizeof(seen), "%s a:0 /p\n", method[i]);
		allowed(text, seen);
	}
	allowed("PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "PUT a:0 /p\n");
}
END_TEST

START_TEST(fields_that_replace_the_method_are_noticed)
{
	static const char *const name[] = {"X-HTTP-Method-Override", "X_Http_Method",
					   "x-original-url", "X-Rewrite-URL", "X-Method-Override"};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(name); i++) {
		snprintf(text, sizeof(text), POST "%s: DELETE\r\n\r\n", name[i]);
		allowed(text, "POST a:0 /p unclear\n");
	}
	allowed(POST "X-Method: DELETE\r\n\r\n", "POST a:0 /p\n");
}
END_TEST

UNIT_MAIN("relay_http_body", every_request_of_a_connection_is_seen, a_body_passes_as_it_comes,
	  lengths_with_two_readings_are_refused, chunks_are_strict, trailers_are_checked,
	  a_body_where_none_is_expected_is_unclear, paths_are_normalised,
	  paths_with_two_readings_are_unclear, paths_of_any_length_fit,
	  fields_that_replace_the_method_are_noticed)
