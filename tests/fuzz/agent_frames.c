/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/agent_frames.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/base/bytes.h"

void follow_frames(struct followed *followed, const uint8_t *bytes, size_t length)
{
	struct agent_header header;
	size_t n;

	while (length > 0) {
		if (followed->payload_left > 0) {
			n = min_u64(length, followed->payload_left);
			followed->payload_left -= n;
		} else {
			n = min_u64(length, AGENT_HEADER_SIZE - followed->header_used);
			memcpy(followed->header + followed->header_used, bytes, n);
			followed->header_used += n;
			if (followed->header_used == AGENT_HEADER_SIZE) {
				header = agent_get_header(followed->header);
				followed->header_used = 0;
				followed->payload_left = header.length;
				FUZZ_REQUIRE(header.length <= AGENT_PAYLOAD_MAX);
				FUZZ_REQUIRE(header.type >= AGENT_WELCOME &&
					     header.type <= AGENT_EXEC_VERDICT);
				if (header.type == AGENT_START)
					followed->last_start = header.id;
			}
		}
		bytes += n;
		length -= n;
	}
}

void guest_put(struct guest_frames *frames, struct fuzz_script *script, uint16_t type,
	       uint16_t flags, uint32_t id, const void *payload, uint32_t length)
{
	uint8_t *to = frames->bytes + frames->length;

	if (frames->length + AGENT_FRAME_MAX > sizeof(frames->bytes))
		return;
	agent_put_header(to, type, flags, id, length);
	if (payload)
		memcpy(to + AGENT_HEADER_SIZE, payload, length);
	else
		memset(to + AGENT_HEADER_SIZE, (int)fuzz_number(script, 1), length);
	/* now and then break something */
	if (fuzz_rarely(script, 32))
		to[fuzz_below(script, AGENT_HEADER_SIZE + 8)] ^=
			(uint8_t)(1 + fuzz_below(script, 255));
	frames->length += AGENT_HEADER_SIZE + length;
}

void guest_put_hello(struct guest_frames *frames, struct fuzz_script *script)
{
	uint8_t payload[AGENT_HELLO_SIZE + 4] = {0};

	agent_put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(payload + AGENT_HELLO_AT_MAJOR, AGENT_VERSION_MAJOR);
	agent_put32(payload + AGENT_HELLO_AT_FEATURES,
		    AGENT_FEATURE_PROCESSES | AGENT_FEATURE_DENIALS | AGENT_FEATURE_EXEC);
	guest_put(frames, script, AGENT_HELLO, 0, 0, payload, sizeof(payload));
}

void guest_put_list(struct guest_frames *frames, struct fuzz_script *script)
{
	uint8_t payload[AGENT_LIST_SIZE + 3 * (AGENT_PROCESS_SIZE + 20)] = {0};
	unsigned count = fuzz_below(script, 4), i, text;
	size_t size = AGENT_LIST_SIZE;

	agent_put32(payload + AGENT_LIST_AT_COUNT, count);
	for (i = 0; i < count; i++) {
		text = fuzz_below(script, 20);
		agent_put32(payload + size + AGENT_PROCESS_AT_PID, 1 + i);
		payload[size + AGENT_PROCESS_AT_STATE] = 'S';
		agent_put16(payload + size + AGENT_PROCESS_AT_LENGTH, (uint16_t)text);
		size += AGENT_PROCESS_SIZE + text;
	}
	if (fuzz_rarely(script, 4))
		payload[fuzz_below(script, (unsigned)size)] = (uint8_t)fuzz_number(script, 1);
	guest_put(frames, script, AGENT_PROCESS_LIST, 0, 1 + fuzz_below(script, 4), payload,
		  (uint32_t)size);
}

void guest_put_proposal(struct guest_frames *frames, struct fuzz_script *script)
{
	uint8_t payload[AGENT_PROPOSE_SIZE + 40] = {0};
	unsigned rule = 1 + fuzz_below(script, 20), reason = fuzz_below(script, 20);

	agent_put16(payload + AGENT_PROPOSE_AT_RULE, (uint16_t)rule);
	agent_put16(payload + AGENT_PROPOSE_AT_REASON, (uint16_t)reason);
	if (fuzz_rarely(script, 4))
		payload[fuzz_below(script, AGENT_PROPOSE_SIZE)] = (uint8_t)fuzz_number(script, 1);
	guest_put(frames, script, AGENT_PROPOSE, 0, 1 + fuzz_below(script, 4), payload,
		  AGENT_PROPOSE_SIZE + rule + reason);
}

static void put_check(struct guest_frames *frames, struct fuzz_script *script)
{
	uint8_t payload[AGENT_CHECK_SIZE + 40];
	unsigned path = fuzz_below(script, 20), program = fuzz_below(script, 20);

	memset(payload, 'x', sizeof(payload));
	memset(payload, 0, AGENT_CHECK_SIZE);
	agent_put16(payload + AGENT_CHECK_AT_PATH, (uint16_t)path);
	agent_put16(payload + AGENT_CHECK_AT_PROGRAM, (uint16_t)program);
	if (fuzz_rarely(script, 4))
		payload[fuzz_below(script, AGENT_CHECK_SIZE)] = (uint8_t)fuzz_number(script, 1);
	guest_put(frames, script, AGENT_EXEC_CHECK, 0, 1 + fuzz_below(script, 4), payload,
		  AGENT_CHECK_SIZE + path + program);
}

static void put_events(struct guest_frames *frames, struct fuzz_script *script)
{
	uint8_t payload[3 * (AGENT_EVENT_SIZE + 40)];
	unsigned count = 1 + fuzz_below(script, 3), i, path, arguments;
	size_t size = 0;

	memset(payload, 'x', sizeof(payload));
	for (i = 0; i < count; i++) {
		path = fuzz_below(script, 20);
		arguments = fuzz_below(script, 20);
		memset(payload + size, 0, AGENT_EVENT_SIZE);
		payload[size + AGENT_EVENT_AT_KIND] = (uint8_t)(1 + fuzz_below(script, 3));
		agent_put16(payload + size + AGENT_EVENT_AT_PATH, (uint16_t)path);
		agent_put16(payload + size + AGENT_EVENT_AT_ARGUMENTS, (uint16_t)arguments);
		size += AGENT_EVENT_SIZE + path + arguments;
	}
	if (fuzz_rarely(script, 4))
		payload[fuzz_below(script, (unsigned)size)] = (uint8_t)fuzz_number(script, 1);
	guest_put(frames, script, AGENT_HAPPENED, 0, 0, payload, (uint32_t)size);
}

void guest_put_programs(struct guest_frames *frames, struct fuzz_script *script)
{
	switch (fuzz_below(script, 3)) {
	case 0:
		guest_put(frames, script, AGENT_EXEC_GONE, 0, 1 + fuzz_below(script, 4), NULL, 0);
		break;
	case 1:
		put_check(frames, script);
		break;
	default:
		put_events(frames, script);
	}
}

void read_check(void *arg, const struct agent_check *check)
{
	char copy[2 * AGENT_CHECK_PATH_MAX];

	(void)arg;
	FUZZ_REQUIRE(check->number > 0 && check->uid <= AGENT_SANDBOX_ID_MAX);
	FUZZ_REQUIRE(check->length <= AGENT_CHECK_PATH_MAX &&
		     check->program_length <= AGENT_CHECK_PATH_MAX);
	memcpy(copy, check->path, check->length);
	memcpy(copy + check->length, check->program, check->program_length);
	FUZZ_REQUIRE(!memchr(copy, '\0', check->length + check->program_length));
}

void read_event(void *arg, const struct agent_event *event)
{
	char copy[AGENT_CHECK_PATH_MAX + AGENT_EVENT_ARGUMENTS_MAX];

	(void)arg;
	FUZZ_REQUIRE(event->kind >= AGENT_EVENT_START && event->kind <= AGENT_EVENT_DENIED);
	FUZZ_REQUIRE(event->length <= AGENT_CHECK_PATH_MAX &&
		     event->arguments_length <= AGENT_EVENT_ARGUMENTS_MAX);
	memcpy(copy, event->path, event->length);
	memcpy(copy + event->length, event->arguments, event->arguments_length);
}

void read_proposal(const char *rule, size_t rule_length, const char *reason, size_t reason_length)
{
	char copy[AGENT_PROPOSE_RULE_MAX + AGENT_PROPOSE_REASON_MAX];

	FUZZ_REQUIRE(rule_length > 0 && rule_length <= AGENT_PROPOSE_RULE_MAX);
	FUZZ_REQUIRE(reason_length <= AGENT_PROPOSE_REASON_MAX);
	memcpy(copy, rule, rule_length);
	memcpy(copy + rule_length, reason, reason_length);
}

void check_withdrawn(void *arg, uint32_t number)
{
	(void)arg;
	FUZZ_REQUIRE(number > 0);
}
