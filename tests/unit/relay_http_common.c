/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_http_common.h"

#include <stdio.h>

static void note(struct http_run *run)
{
	const struct request_head *head = &run->stream.head;
	size_t used = strlen(run->seen);

	snprintf(run->seen + used, sizeof(run->seen) - used, "%s %s:%u %s%s\n", head->method,
		 head->host, head->port, head->path, head->unclear ? " unclear" : "");
}

/* Forwards what may pass of the bytes that have arrived. */
static enum request_verdict go_on(struct http_run *run, const char *data, size_t arrived)
{
	enum request_verdict verdict;
	size_t pass, left;
	uint8_t *copy;

	for (;;) {
		left = arrived - run->passed;
		copy = malloc(left ? left : 1);
		memcpy(copy, data + run->passed, left);
		verdict = request_judge(&run->stream, copy, left, &pass);
		free(copy);
		ck_assert_uint_le(pass, left);
		ck_assert(pass == 0 || verdict == REQUEST_PASS || verdict == REQUEST_OPAQUE);
		run->passed += pass;
		if (verdict == REQUEST_MORE)
			ck_assert_uint_lt(left, REQUEST_HEAD_MAX);
		if (verdict == REQUEST_READY) {
			note(run);
			request_permit(&run->stream);
		} else if (verdict == REQUEST_SWITCH && run->switched >= 0) {
			request_switched(&run->stream, run->switched > 0);
		} else if (verdict != REQUEST_PASS) {
			break;
		}
	}
	/* A refusal is for good. */
	if (verdict == REQUEST_REFUSED) {
		ck_assert_int_eq(request_judge(&run->stream, (const uint8_t *)"abcd", 4, &pass),
				 REQUEST_REFUSED);
		ck_assert_uint_eq(pass, 0);
	}
	return verdict;
}

static size_t portion(size_t most)
{
	static uint32_t seed = 1;

	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % most;
}

static enum request_verdict portions(struct http_run *run, uint16_t port, const char *data,
				     size_t length, size_t most)
{
	enum request_verdict verdict = REQUEST_MORE;
	size_t arrived = 0;

	request_init(&run->stream, port);
	run->passed = 0;
	run->seen[0] = '\0';
	while (arrived < length && verdict != REQUEST_REFUSED) {
		arrived = min_u64(length, arrived + 1 + portion(most));
		verdict = go_on(run, data, arrived);
	}
	return verdict;
}

enum request_verdict http_run_to(struct http_run *run, uint16_t port, const char *data,
				 size_t length)
{
	static const size_t most[] = {1, 3, 20, 20, 300};
	static struct http_run other;
	enum request_verdict verdict;
	size_t i;

	request_init(&run->stream, port);
	run->passed = 0;
	run->seen[0] = '\0';
	verdict = go_on(run, data, length);
	other.switched = run->switched;
	for (i = 0; i < ARRAY_SIZE(most); i++) {
		ck_assert_int_eq(portions(&other, port, data, length, most[i]), verdict);
		ck_assert_int_eq(other.stream.reason, run->stream.reason);
		ck_assert_uint_eq(other.passed, run->passed);
		ck_assert_str_eq(other.seen, run->seen);
	}
	return verdict;
}

enum request_verdict http_run(struct http_run *run, const char *data, size_t length)
{
	return http_run_to(run, 80, data, length);
}

enum request_verdict http_text(struct http_run *run, const char *text)
{
	run->switched = -1;
	return http_run(run, text, strlen(text));
}
