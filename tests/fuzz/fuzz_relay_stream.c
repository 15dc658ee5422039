/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that the relay judges, TLS and HTTP: valid parts with bytes of the input written over
 * them, or the input itself. The stream is judged at once and in portions, in memory of the exact
 * size: both must end in the same way. Nothing may pass before a request is allowed, and where one
 * is not, the next byte to pass would be its first.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "tests/support/net_frames.h"
#include "vmm/relay/hello.h"
#include "vmm/relay/http_request.h"

#define STREAM_MAX 65536
#define SEEN_MAX   64

struct outcome {
	int verdict, reason;
	size_t passed;
	unsigned seen;		/* names or requests */
	size_t start[SEEN_MAX]; /* where each of them begins in the stream */
	uint32_t hash;		/* of what they are */
};

struct run {
	const uint8_t *data;
	struct outcome outcome;
	unsigned permits; /* how many names or requests are allowed */
	bool switched;
	struct hello hello;
	struct request_stream stream;
};

static uint8_t base[STREAM_MAX];

static void note(struct run *run, const char *text)
{
	struct outcome *outcome = &run->outcome;

	outcome->start[outcome->seen] = outcome->passed;
	for (; *text; text++)
		outcome->hash = (outcome->hash ^ (uint8_t)*text) * 16777619u;
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* Whether the caller goes on with the same bytes. */
static bool hello_step(struct run *run, const uint8_t *data, size_t length)
{
	struct outcome *outcome = &run->outcome;
	size_t pass;

	outcome->verdict = hello_judge(&run->hello, data, length, &pass);
	outcome->reason = (int)run->hello.reason;
	FUZZ_REQUIRE(pass <= length);
	FUZZ_REQUIRE(pass == 0 || outcome->seen > 0);
	FUZZ_REQUIRE(outcome->verdict != HELLO_MORE || length < HELLO_HELD_MAX);
	FUZZ_REQUIRE((outcome->verdict == HELLO_REFUSED) == (run->hello.reason != HELLO_FINE));
	outcome->passed += pass;
	if (outcome->verdict == HELLO_PASS)
		return true;
	if (outcome->verdict != HELLO_NAME || outcome->seen == run->permits)
		return false;
	note(run, run->hello.name);
	outcome->seen++;
	hello_permit(&run->hello);
	return true;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static void check_head(const struct request_head *head, const uint8_t *data, size_t length)
{
	FUZZ_REQUIRE(head->length <= length && head->length <= REQUEST_HEAD_MAX);
	FUZZ_REQUIRE(head->method[0] && head->host[0] && head->path[0]);
	FUZZ_REQUIRE(head->unclear || head->path[0] == '/');
	FUZZ_REQUIRE((uint8_t *)memmem(data, length, "\r\n\r\n", 4) + 4 == data + head->length);
	FUZZ_REQUIRE(strncmp((const char *)data, head->method, strlen(head->method)) == 0);
	if (!head->unclear)
		FUZZ_REQUIRE(!strstr(head->path, "//") && !strstr(head->path, "/../") &&
			     !strstr(head->path, "/./") && !strstr(head->path, "%2F"));
}

static bool request_step(struct run *run, const uint8_t *data, size_t length)
{
	struct outcome *outcome = &run->outcome;
	size_t pass;

	outcome->verdict = request_judge(&run->stream, data, length, &pass);
	outcome->reason = (int)run->stream.reason;
	FUZZ_REQUIRE(pass <= length);
	FUZZ_REQUIRE(pass == 0 || outcome->seen > 0);
	FUZZ_REQUIRE(outcome->verdict != REQUEST_MORE || length < REQUEST_HEAD_MAX);
	outcome->passed += pass;
	if (outcome->verdict == REQUEST_PASS)
		return true;
	if (outcome->verdict == REQUEST_SWITCH && run->permits > 1) {
		request_switched(&run->stream, run->switched);
		return true;
	}
	if (outcome->verdict != REQUEST_READY)
		return false;
	check_head(&run->stream.head, data, length);
	if (outcome->seen == run->permits)
		return false;
	note(run, run->stream.head.method);
	note(run, run->stream.head.host);
	note(run, run->stream.head.path);
	outcome->seen++;
	request_permit(&run->stream);
	return true;
}

/* --- both ------------------------------------------------------------------------------------- */

static void go_on(struct run *run, bool http, size_t arrived)
{
	bool more = true;

	while (more) {
		size_t left = arrived - run->outcome.passed;
		uint8_t *copy = malloc(left ? left : 1);

		FUZZ_REQUIRE(copy);
		memcpy(copy, run->data + run->outcome.passed, left);
		more = http ? request_step(run, copy, left) : hello_step(run, copy, left);
		free(copy);
	}
}

/* most: bytes of a portion, 0: all at once; seed chooses the sizes. */
static void judge(struct run *run, bool http, size_t length, size_t most, uint32_t seed)
{
	size_t arrived = 0;

	run->data = base;
	memset(&run->outcome, 0, sizeof(run->outcome));
	hello_init(&run->hello);
	request_init(&run->stream, 80);
	do {
		seed = seed * 1664525u + 1013904223u;
		arrived = most ? min_u64(length, arrived + 1 + (seed >> 8) % most) : length;
		go_on(run, http, arrived);
	} while (arrived < length);
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
	return a->verdict == b->verdict && a->reason == b->reason && a->passed == b->passed &&
	       a->seen == b->seen && a->hash == b->hash &&
	       memcmp(a->start, b->start, sizeof(a->start)) == 0;
}

static size_t make_http(struct fuzz_script *script)
{
	static const char *const parts[] = {
		"GET /a/%41b?q HTTP/1.1\r\nHost: a.example:80\r\nX: y\r\n\r\n",
		"POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n12345",
		"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: c\r\n\r\n3\r\nabc\r\n",
		"1f\r\n0123456789012345678901234567890\r\n",
		"0\r\nT: x\r\n\r\n",
		"GET http://a.example/x HTTP/1.0\r\nHost: a.example\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"\r\n",
	};
	size_t length = 0;
	unsigned count;
	const char *part;

	for (count = 1 + fuzz_below(script, 8); count > 0; count--) {
		part = parts[fuzz_below(script, ARRAY_SIZE(parts))];
		memcpy(base + length, part, strlen(part));
		length += strlen(part);
	}
	return length;
}

static size_t make_tls(struct fuzz_script *script)
{
	static const uint8_t records[] = {20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 3, 1, 2, 3};
	size_t length = 0;
	unsigned count;

	for (count = 1 + fuzz_below(script, 3); count > 0; count--) {
		length += net_hello(base + length,
				    &(struct net_hello){.name = fuzz_rarely(script, 4)
									? "b.example.com"
									: "a.example.com",
							.grease = true,
							.encrypted = fuzz_rarely(script, 8),
							.record = fuzz_below(script, 64)});
		if (fuzz_below(script, 2)) {
			memcpy(base + length, records, sizeof(records));
			length += fuzz_below(script, 2) ? sizeof(records) : 6;
		}
	}
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, parts;
	struct fuzz_script script = {.at = data, .left = size};
	bool http = fuzz_below(&script, 2), raw = fuzz_below(&script, 4) == 0;
	uint32_t seed = (uint32_t)fuzz_number(&script, 2);
	unsigned changes;
	size_t length;

	whole.permits = parts.permits = fuzz_rarely(&script, 4) ? seed % 3 : SEEN_MAX - 1;
	whole.switched = parts.switched = seed & 1;
	if (raw) {
		length = min_u64(script.left, sizeof(base));
		if (length > 0)
			memcpy(base, script.at, length);
	} else {
		length = http ? make_http(&script) : make_tls(&script);
		for (changes = fuzz_below(&script, 6); changes > 0; changes--)
			base[fuzz_number(&script, 2) % length] = (uint8_t)fuzz_number(&script, 1);
	}
	judge(&whole, http, length, 0, 0);
	judge(&parts, http, length, 1 + seed % 64, seed);
	FUZZ_REQUIRE(is_same(&whole.outcome, &parts.outcome));
	return 0;
}
