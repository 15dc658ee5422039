/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of the agent channel against a guest that is made of bytes, and lies. */
#include "tests/support/agent_host.h"

#include <sys/socket.h>
#include "tests/unit/agent_channel_common.h"

START_TEST(the_greeting_is_parsed)
{
	struct fake *fake = fake_create();

	ck_assert_int_eq(agent_channel_ping(fake->host.channel, NULL), -ENOTCONN);
	ck_assert_int_eq(agent_channel_power(fake->host.channel, AGENT_POWER_OFF), -ENOTCONN);
	put_hello(fake, AGENT_VERSION_MAJOR, 77);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 1);
	ck_assert_uint_eq(fake->host.info.minor, 77);
	ck_assert_uint_eq(fake->host.info.connections, 3);
	/* what a terminal would obey is made harmless */
	ck_assert_str_eq(fake->host.info.build, "fa?ke?");
	ck_assert_uint_eq(agent_get_header(fake->out).type, AGENT_WELCOME);
	ck_assert_uint_eq(agent_get32(fake->out + AGENT_HEADER_SIZE), AGENT_MAGIC);
	fake_destroy(fake);
}
END_TEST

START_TEST(another_major_version_is_refused_with_both_named)
{
	struct fake *fake = fake_create();
	struct agent_header header;

	put_hello(fake, AGENT_VERSION_MAJOR + 1, 4);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 0);
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_ptr_nonnull(strstr(fake->host.why, "speaks protocol 2.4 (build fa?ke?)"));
	ck_assert_ptr_nonnull(strstr(fake->host.why, "speaks 1.1"));
	header = agent_get_header(fake->out);
	ck_assert_uint_eq(header.type, AGENT_REFUSE);
	ck_assert_mem_eq(fake->out + AGENT_HEADER_SIZE, fake->host.why, header.length);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_peer_without_a_greeting_is_refused)
{
	unsigned i;

	for (i = 0; i < 6; i++) {
		struct fake *fake = fake_create();

		if (i == 0)
			put32(fake, AGENT_RESULT, 1, 0);
		else if (i == 1)
			put(fake, AGENT_HELLO, 0, 0, "short", 5);
		else if (i == 2)
			put(fake, AGENT_HELLO, 0, 0, "magic that is none", 18);
		else if (i == 3)
			put(fake, AGENT_REFUSE, 0, 0, "I am too\x07 old", 13);
		else if (i == 4)
			put_hello(fake, AGENT_VERSION_MAJOR, 0);
		else
			fake->in_end = true;
		if (i == 4)
			fake->in[AGENT_AT_FLAGS] = 1;
		agent_channel_readable(fake->host.channel);
		ck_assert_uint_eq(fake->host.ready, 0);
		ck_assert_uint_eq(fake->host.lost, 1);
		ck_assert_uint_eq(fake->closed, 1);
		if (i == 3)
			ck_assert_str_eq(fake->host.why, "the agent refused: I am too? old");
		fake_destroy(fake);
	}
}
END_TEST

static void check_life(const struct fake *fake, const struct run *run)
{
	ck_assert_uint_eq(fake->host.lost, 0);
	ck_assert_uint_eq(run->pid, 42);
	ck_assert_str_eq(run->out[1], "out");
	ck_assert_str_eq(run->out[2], "err");
	ck_assert_uint_eq(run->stdin_closed, 1);
	ck_assert_uint_eq(run->exited, 1);
	ck_assert_int_eq(run->status.code, 9);
	ck_assert_uint_eq(run->status.user_us, 1234567890123u);
	ck_assert_uint_eq(fake->host.power, 1);
}

START_TEST(the_end_may_say_that_memory_was_exhausted)
{
	uint8_t payload[AGENT_EXITED_SIZE] = {[AGENT_EXITED_AT_SIGNAL] = 9};
	uint16_t flags;

	for (flags = 0; flags <= AGENT_EXITED_MEMORY; flags++) {
		struct run run = {0};
		struct fake *fake = with_command(&run);

		put32(fake, AGENT_STARTED, COMMAND_1, 42);
		put(fake, AGENT_OUTPUT_EOF, 1, COMMAND_1, NULL, 0);
		put(fake, AGENT_OUTPUT_EOF, 2, COMMAND_1, NULL, 0);
		put(fake, AGENT_EXITED, flags, COMMAND_1, payload, sizeof(payload));
		agent_channel_readable(fake->host.channel);
		ck_assert_uint_eq(run.exited, 1);
		ck_assert_int_eq(run.status.signal, 9);
		ck_assert_int_eq(run.status.out_of_memory, flags == AGENT_EXITED_MEMORY);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(frames_may_be_cut_anywhere)
{
	struct run run = {0};
	size_t cut, total;
	struct fake *fake = with_command(&run);

	put_life(fake);
	total = fake->in_length - fake->in_at;
	agent_channel_readable(fake->host.channel);
	check_life(fake, &run);
	fake_destroy(fake);
	for (cut = 0; cut <= total; cut++) {
		fake = with_command(&run);
		put_life(fake);
		fake->in_length -= total - cut;
		agent_channel_readable(fake->host.channel);
		ck_assert_uint_eq(fake->host.lost, 0);
		fake->in_length += total - cut;
		/* the second half comes a byte at a time */
		fake->read_limit = 1;
		agent_channel_readable(fake->host.channel);
		check_life(fake, &run);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(an_end_within_a_frame_is_an_end)
{
	struct run run = {0};
	struct fake *fake = with_command(&run);

	put_life(fake);
	fake->in_length = fake->in_at + AGENT_HEADER_SIZE + 2;
	fake->in_end = true;
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_uint_eq(run.failed, 1);
	ck_assert_uint_eq(run.started, 0);
	agent_command_close(run.command);
	fake_destroy(fake);
}
END_TEST

/* Frames that may not come, after `before` of the life above. */
static const struct {
	const char *what;
	unsigned before;
	uint16_t type, flags;
	uint32_t id, length;
	uint8_t payload[16];
} bad_frames[] = {
	{"unknown type", 0, 999, 0, 0, 0, {0}},
	{"type 0", 0, 0, 0, 0, 0, {0}},
	{"a gap in the types", 0, 13, 0, 0, 0, {0}},
	{"a frame of the monitor", 0, AGENT_START, 0, COMMAND_1, 4, {0}},
	{"another greeting", 0, AGENT_HELLO, 0, 0, 16, {0}},
	{"too long", 1, AGENT_OUTPUT, 1, COMMAND_1, AGENT_PAYLOAD_MAX + 1, {0}},
	{"much too long", 1, AGENT_OUTPUT, 1, COMMAND_1, 0xffffffff, {0}},
	{"result too short", 0, AGENT_RESULT, 0, 1, 3, {0}},
	{"result of nothing", 0, AGENT_RESULT, 0, 0, 4, {0}},
	{"result with flags", 0, AGENT_RESULT, 1, 1, 4, {0}},
	{"power of no kind", 0, AGENT_POWER, 0, 0, 4, {3}},
	{"power with an id", 0, AGENT_POWER, 0, 1, 4, {1}},
	{"check without a number", 0, AGENT_EXEC_CHECK, 0, 0, 16, {0}},
	{"check too short", 0, AGENT_EXEC_CHECK, 0, 1, 15, {0}},
	{"check too long", 0, AGENT_EXEC_CHECK, 0, 1, AGENT_CHECK_MOST + 1, {0}},
	{"check of a user that no sandbox has",
	 0,
	 AGENT_EXEC_CHECK,
	 0,
	 1,
	 16,
	 {[4] = 0xff, [5] = 0xff, [6] = 0xff, [7] = 0xff}},
	{"check with an unknown flag", 0, AGENT_EXEC_CHECK, 0, 1, 16, {[8] = 2}},
	{"check with a NUL in its path", 0, AGENT_EXEC_CHECK, 0, 1, 17, {[12] = 1}},
	{"check that is longer than its path", 0, AGENT_EXEC_CHECK, 0, 1, 17, {0}},
	{"check with flags", 0, AGENT_EXEC_CHECK, 1, 1, 16, {0}},
	{"gone with payload", 0, AGENT_EXEC_GONE, 0, 1, 1, {0}},
	{"no event", 0, AGENT_HAPPENED, 0, 0, 0, {0}},
	{"events with an id", 0, AGENT_HAPPENED, 0, 1, 40, {1}},
	{"event of no kind", 0, AGENT_HAPPENED, 0, 0, 40, {0}},
	{"event of an unknown kind", 0, AGENT_HAPPENED, 0, 0, 40, {5}},
	{"half an event", 0, AGENT_HAPPENED, 0, 0, 39, {1}},
	{"an event and a byte", 0, AGENT_HAPPENED, 0, 0, 41, {1}},
	{"event that is shorter than its path", 0, AGENT_HAPPENED, 0, 0, 40, {1, 0, 1}},
	{"event with a NUL in its path", 0, AGENT_HAPPENED, 0, 0, 41, {1, 0, 1}},
	{"event with too many arguments", 0, AGENT_HAPPENED, 0, 0, 553, {1, 0, 0, 0, 1, 2}},
	{"a verdict", 0, AGENT_EXEC_VERDICT, 0, 1, 4, {0}},
	{"command that is not there", 0, AGENT_STARTED, 0, COMMAND_1 + 1, 4, {0}},
	{"command of another generation", 0, AGENT_STARTED, 0, 2 * COMMAND_1, 4, {0}},
	{"command 0", 0, AGENT_STARTED, 0, 0, 4, {0}},
	{"output before the start", 0, AGENT_OUTPUT, 1, COMMAND_1, 1, {0}},
	{"end of output before the start", 0, AGENT_OUTPUT_EOF, 1, COMMAND_1, 0, {0}},
	{"end of input before the start", 0, AGENT_STDIN_EOF, 0, COMMAND_1, 0, {0}},
	{"credit before the start", 0, AGENT_CREDIT, 0, COMMAND_1, 4, {0}},
	{"exit before the start", 0, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE, {0}},
	{"started twice", 1, AGENT_STARTED, 0, COMMAND_1, 4, {0}},
	{"empty output", 1, AGENT_OUTPUT, 1, COMMAND_1, 0, {0}},
	{"output of stream 0", 1, AGENT_OUTPUT, 0, COMMAND_1, 1, {0}},
	{"output of stream 3", 1, AGENT_OUTPUT, 3, COMMAND_1, 1, {0}},
	{"end with payload", 1, AGENT_OUTPUT_EOF, 1, COMMAND_1, 1, {0}},
	{"credit that was not used", 1, AGENT_CREDIT, 0, COMMAND_1, 4, {1}},
	{"credit of 2^32-1", 1, AGENT_CREDIT, 0, COMMAND_1, 4, {255, 255, 255, 255}},
	{"credit for output", 1, AGENT_CREDIT, 1, COMMAND_1, 4, {0}},
	{"failed without a status", 1, AGENT_FAILED, 0, COMMAND_1, 7, {125}},
	{"failed with status 0", 1, AGENT_FAILED, 0, COMMAND_1, 8, {0}},
	{"failed with status 128", 1, AGENT_FAILED, 0, COMMAND_1, 8, {128}},
	{"failed with an odd errno", 1, AGENT_FAILED, 0, COMMAND_1, 8, {125, 0, 0, 0, 0, 16}},
	{"end of input twice", 4, AGENT_STDIN_EOF, 0, COMMAND_1, 0, {0}},
	{"output after its end", 5, AGENT_OUTPUT, 2, COMMAND_1, 1, {0}},
	{"end of output twice", 5, AGENT_OUTPUT_EOF, 2, COMMAND_1, 0, {0}},
	{"exit before its output ended", 5, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE, {0}},
	{"exit status 256", 6, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE, {0, 1}},
	{"signal 65", 6, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE, {[4] = 65}},
	{"exit too short", 6, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE - 1, {0}},
	{"exit too long", 6, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE + 1, {0}},
	{"exit with another flag", 6, AGENT_EXITED, 2, COMMAND_1, AGENT_EXITED_SIZE, {0}},
	{"exited twice", 7, AGENT_EXITED, 0, COMMAND_1, AGENT_EXITED_SIZE, {0}},
	{"output after the exit", 7, AGENT_OUTPUT, 1, COMMAND_1, 1, {0}},
};

START_TEST(a_frame_that_breaks_a_rule_ends_the_connection)
{
	size_t i, end;
	unsigned n;

	for (i = 0; i < ARRAY_SIZE(bad_frames); i++) {
		struct run run = {0};
		struct fake *fake = with_command(&run);

		put_life(fake);
		/* the life's frames up to `before` */
		for (n = 0, end = fake->in_at; n < bad_frames[i].before; n++)
			end += AGENT_HEADER_SIZE + agent_get_header(fake->in + end).length;
		fake->in_length = end;
		agent_channel_readable(fake->host.channel);
		ck_assert_uint_eq(fake->host.lost, 0);
		memset(fake->in + end, 0, AGENT_FRAME_MAX);
		put(fake, bad_frames[i].type, bad_frames[i].flags, bad_frames[i].id, NULL,
		    (uint32_t)min_u64(bad_frames[i].length, AGENT_PAYLOAD_MAX));
		agent_put32(fake->in + end + AGENT_AT_LENGTH, bad_frames[i].length);
		memcpy(fake->in + end + AGENT_HEADER_SIZE, bad_frames[i].payload,
		       sizeof(bad_frames[i].payload));
		agent_channel_readable(fake->host.channel);
		ck_assert_msg(fake->host.lost == 1, "%s: taken", bad_frames[i].what);
		ck_assert_uint_eq(fake->closed, 1);
		ck_assert_uint_eq(run.failed + run.exited, 1);
		agent_command_close(run.command);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(checks_are_passed_on_and_verdicts_back)
{
	uint8_t payload[AGENT_CHECK_SIZE + 11] = {0};
	struct fake *fake = with_command(&(struct run){0});
	const uint8_t *out;

	agent_put32(payload + AGENT_CHECK_AT_PID, 5);
	agent_put16(payload + AGENT_CHECK_AT_PATH, 4);
	agent_put16(payload + AGENT_CHECK_AT_PROGRAM, 7);
	memcpy(payload + AGENT_CHECK_SIZE, "/a\xff!/bin/sh", 11);
	put(fake, AGENT_EXEC_CHECK, 0, 77, payload, sizeof(payload));
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.checks, 1);
	ck_assert_uint_eq(fake->host.number, 77);
	ck_assert_str_eq(fake->host.path, "/a\xff!");
	ck_assert_str_eq(fake->host.program, "/bin/sh");
	ck_assert(!fake->host.no_path);
	/* An empty path is no path; the engine denies it. */
	memset(payload, 0, sizeof(payload));
	agent_put32(payload + AGENT_CHECK_AT_FLAGS, AGENT_CHECK_NO_PATH);
	put(fake, AGENT_EXEC_CHECK, 0, 78, payload, AGENT_CHECK_SIZE);
	put(fake, AGENT_EXEC_GONE, 0, 77, NULL, 0);
	fake->out_length = 0;
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.checks, 2);
	ck_assert(fake->host.no_path);
	ck_assert_uint_eq(fake->host.gone, 1);
	ck_assert_uint_eq(fake->host.number, 77);
	ck_assert_int_eq(agent_channel_verdict(fake->host.channel, 78, EACCES, true, "why"), 0);
	out = fake->out;
	ck_assert_uint_eq(fake->out_length, AGENT_HEADER_SIZE + AGENT_VERDICT_SIZE + 3);
	ck_assert_uint_eq(agent_get_header(out).type, AGENT_EXEC_VERDICT);
	ck_assert_uint_eq(agent_get_header(out).flags, AGENT_VERDICT_REMEMBER);
	ck_assert_uint_eq(agent_get_header(out).id, 78);
	ck_assert_uint_eq(agent_get32(out + AGENT_HEADER_SIZE), EACCES);
	ck_assert_mem_eq(out + AGENT_HEADER_SIZE + AGENT_VERDICT_SIZE, "why", 3);
	fake_destroy(fake);
}
END_TEST

START_TEST(events_are_passed_on_one_by_one)
{
	uint8_t payload[2 * AGENT_EVENT_SIZE + 12] = {AGENT_EVENT_START, AGENT_EVENT_CUT};
	uint8_t *second = payload + AGENT_EVENT_SIZE + 12;
	struct fake *fake = with_command(&(struct run){0});

	agent_put16(payload + AGENT_EVENT_AT_PATH, 7);
	agent_put16(payload + AGENT_EVENT_AT_ARGUMENTS, 5);
	agent_put32(payload + AGENT_EVENT_AT_PID, 5);
	agent_put32(payload + AGENT_EVENT_AT_PARENT, 4);
	memcpy(payload + AGENT_EVENT_SIZE, "/bin/shsh\0-c", 12);
	second[AGENT_EVENT_AT_KIND] = AGENT_EVENT_END;
	agent_put32(second + AGENT_EVENT_AT_STATUS, 9);
	agent_put64(second + AGENT_EVENT_AT_CPU_US, 1200);
	agent_put64(second + AGENT_EVENT_AT_PEAK_KIB, 80);
	put(fake, AGENT_HAPPENED, 0, 0, payload, AGENT_EVENT_SIZE + 12);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.events, 1);
	ck_assert_int_eq(fake->host.event.kind, AGENT_EVENT_START);
	ck_assert(fake->host.event.cut);
	ck_assert_uint_eq(fake->host.event.pid, 5);
	ck_assert_uint_eq(fake->host.event.parent, 4);
	ck_assert_str_eq(fake->host.path, "/bin/sh");
	ck_assert_str_eq(fake->host.program, "sh");
	put(fake, AGENT_HAPPENED, 0, 0, payload, sizeof(payload));
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.events, 3);
	ck_assert_uint_eq(fake->host.event.status, 9);
	ck_assert_uint_eq(fake->host.event.cpu_us, 1200);
	ck_assert_uint_eq(fake->host.event.peak_kib, 80);
	/* None counts if one of them breaks a rule. */
	second[AGENT_EVENT_AT_KIND] = 9;
	put(fake, AGENT_HAPPENED, 0, 0, payload, sizeof(payload));
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.events, 3);
	ck_assert_uint_eq(fake->host.lost, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(output_beyond_its_credit_is_refused)
{
	static uint8_t big[AGENT_PAYLOAD_MAX];
	struct run run = {.hold = true};
	struct fake *fake = with_command(&run);
	int i;

	put32(fake, AGENT_STARTED, COMMAND_1, 1);
	agent_channel_readable(fake->host.channel);
	for (i = 0; i < 4; i++) {
		fake->in_at = fake->in_length = 0;
		put(fake, AGENT_OUTPUT, 1, COMMAND_1, big, sizeof(big));
		agent_channel_readable(fake->host.channel);
	}
	ck_assert_uint_eq(run.length[1], AGENT_WINDOW_OUTPUT);
	/* what was consumed but not yet reported to the guest is no credit either */
	agent_command_consumed(run.command, 1, 1000);
	ck_assert_uint_eq(fake->host.lost, 0);
	fake->in_at = fake->in_length = 0;
	put(fake, AGENT_OUTPUT, 2, COMMAND_1, big, 1); /* the other stream has its own */
	put(fake, AGENT_OUTPUT, 1, COMMAND_1, big, 1);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(run.length[2], 1);
	ck_assert_uint_eq(run.length[1], AGENT_WINDOW_OUTPUT);
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_ptr_nonnull(strstr(run.message, "credit"));
	agent_command_consumed(run.command, 1, 1000000);
	agent_command_close(run.command);
	fake_destroy(fake);
}
END_TEST

UNIT_MAIN("agent_channel", the_greeting_is_parsed, another_major_version_is_refused_with_both_named,
	  a_peer_without_a_greeting_is_refused, frames_may_be_cut_anywhere,
	  the_end_may_say_that_memory_was_exhausted, an_end_within_a_frame_is_an_end,
	  a_frame_that_breaks_a_rule_ends_the_connection, checks_are_passed_on_and_verdicts_back,
	  events_are_passed_on_one_by_one, output_beyond_its_credit_is_refused)
