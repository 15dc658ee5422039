/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of the agent channel against a guest that is made of bytes, and lies. */
#include "tests/support/agent_host.h"

#include <sys/socket.h>

#define COMMAND_1 (1u * AGENT_COMMANDS_MAX) /* the number that a channel's first command gets */

/* A transport in memory: what the guest sends, and what it takes. */
struct fake {
	struct host host;
	uint8_t in[3 * AGENT_FRAME_MAX];
	size_t in_length, in_at, in_piece; /* at most in_piece bytes a read, 0: all */
	bool in_end;
	uint8_t *out;
	size_t out_length, out_room;
	int write_error;
	unsigned closed;
};

static long fake_read(void *arg, void *to, size_t length)
{
	struct fake *fake = arg;
	size_t n = min_u64(length, fake->in_length - fake->in_at);

	ck_assert_uint_eq(fake->closed, 0);
	if (fake->in_piece)
		n = min_u64(n, fake->in_piece);
	if (n == 0)
		return fake->in_end ? 0 : -EAGAIN;
	memcpy(to, fake->in + fake->in_at, n);
	fake->in_at += n;
	return (long)n;
}

static long fake_write(void *arg, const void *from, size_t length)
{
	struct fake *fake = arg;
	size_t n = min_u64(length, fake->out_room - fake->out_length);

	ck_assert_uint_eq(fake->closed, 0);
	if (fake->write_error)
		return -fake->write_error;
	if (n == 0)
		return -EAGAIN;
	memcpy(fake->out + fake->out_length, from, n);
	fake->out_length += n;
	return (long)n;
}

static void fake_close(void *arg)
{
	struct fake *fake = arg;

	fake->closed++;
}

static void fake_attach(struct fake *fake)
{
	struct agent_transport transport = {
		.read = fake_read,
		.write = fake_write,
		.close = fake_close,
		.arg = fake,
	};

	fake->in_length = fake->in_at = fake->out_length = 0;
	fake->closed = 0;
	ck_assert_int_eq(agent_channel_attach(fake->host.channel, &transport), 0);
}

static struct fake *fake_create(void)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	ck_assert_ptr_nonnull(fake);
	host_create(&fake->host);
	fake->out_room = 8u << 20;
	fake->out = malloc(fake->out_room);
	fake_attach(fake);
	return fake;
}

static void fake_destroy(struct fake *fake)
{
	host_destroy(&fake->host);
	ck_assert_uint_eq(fake->closed, 1);
	free(fake->out);
	free(fake);
}

static void put(struct fake *fake, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
		uint32_t length)
{
	uint8_t *to = fake->in + fake->in_length;

	agent_put_header(to, type, flags, id, length);
	if (length && payload)
		memcpy(to + AGENT_HEADER_SIZE, payload, length);
	fake->in_length += AGENT_HEADER_SIZE + length;
}

static void put32(struct fake *fake, uint16_t type, uint32_t id, uint32_t value)
{
	uint8_t payload[4];

	agent_put32(payload, value);
	put(fake, type, 0, id, payload, 4);
}

static void put_hello(struct fake *fake, uint16_t major, uint16_t minor)
{
	uint8_t payload[AGENT_HELLO_SIZE + 6] = {0};

	agent_put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(payload + AGENT_HELLO_AT_MAJOR, major);
	agent_put16(payload + AGENT_HELLO_AT_MINOR, minor);
	agent_put32(payload + AGENT_HELLO_AT_CONNECTIONS, 3);
	memcpy(payload + AGENT_HELLO_SIZE, "fa\x1bke\n", 6);
	put(fake, AGENT_HELLO, 0, 0, payload, sizeof(payload));
}

static void put_exited(struct fake *fake, uint32_t id, uint32_t code, uint32_t number)
{
	uint8_t payload[AGENT_EXITED_SIZE] = {0};

	agent_put32(payload + AGENT_EXITED_AT_CODE, code);
	agent_put32(payload + AGENT_EXITED_AT_SIGNAL, number);
	agent_put64(payload + AGENT_EXITED_AT_USER_US, 1234567890123u);
	put(fake, AGENT_EXITED, 0, id, payload, sizeof(payload));
}

static void start(struct fake *fake, struct run *run)
{
	const char *argv[] = {"x", NULL};
	struct agent_command_spec spec = {.argv = argv};

	ck_assert_int_eq(run_start(&fake->host, run, &spec), 0);
}

/* A channel whose agent has greeted and that has one command. */
static struct fake *with_command(struct run *run)
{
	struct fake *fake = fake_create();

	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 1);
	start(fake, run);
	return fake;
}

START_TEST(greeting_is_taken_apart)
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

START_TEST(what_does_not_greet_is_not_the_agent)
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

/* What a guest may send in the life of one command, in order. */
static void put_life(struct fake *fake)
{
	put32(fake, AGENT_STARTED, COMMAND_1, 42);
	put(fake, AGENT_OUTPUT, 1, COMMAND_1, "out", 3);
	put(fake, AGENT_OUTPUT, 2, COMMAND_1, "err", 3);
	put(fake, AGENT_STDIN_EOF, 0, COMMAND_1, NULL, 0);
	put(fake, AGENT_OUTPUT_EOF, 2, COMMAND_1, NULL, 0);
	put(fake, AGENT_OUTPUT_EOF, 1, COMMAND_1, NULL, 0);
	put_exited(fake, COMMAND_1, 9, 0);
	put32(fake, AGENT_POWER, 0, AGENT_POWER_OFF);
}

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
		fake->in_piece = 1;
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
	uint8_t payload[12];
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

START_TEST(output_beyond_its_credit_is_not_taken)
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
	/* what was consumed but not yet told to the guest is no credit either */
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

START_TEST(input_keeps_to_its_credit)
{
	static const uint8_t zeros[AGENT_WINDOW_STDIN + 1];
	struct run run = {0};
	struct fake *fake = with_command(&run);
	size_t sent = 0, n;

	do {
		n = agent_command_stdin(run.command, zeros, sizeof(zeros) - sent);
		sent += n;
	} while (n > 0);
	ck_assert_uint_eq(sent, AGENT_WINDOW_STDIN);
	put32(fake, AGENT_STARTED, COMMAND_1, 1);
	put32(fake, AGENT_CREDIT, COMMAND_1, 5000);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(run.stdin_ready, 1);
	ck_assert_uint_eq(agent_command_stdin(run.command, zeros, 6000), 5000);
	ck_assert_int_eq(agent_command_stdin_eof(run.command), 0);
	put32(fake, AGENT_CREDIT, COMMAND_1, 5000);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(run.stdin_ready, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_guest_that_reads_nothing_costs_bounded_memory)
{
	static const uint8_t zeros[65536];
	static struct run runs[AGENT_COMMANDS_MAX];
	struct fake *fake = with_command(&runs[0]);
	size_t i, taken = 0, n;
	int ret, requests = 0;

	for (i = 1; i < AGENT_COMMANDS_MAX; i++)
		start(fake, &runs[i]);
	fake->out_room = fake->out_length;
	do {
		for (n = 0, i = 0; i < AGENT_COMMANDS_MAX; i++)
			n += agent_command_stdin(runs[i].command, zeros, sizeof(zeros));
		taken += n;
	} while (n > 0);
	/* input stops far below the bound, and requests go on to it */
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, 300000);
	while ((ret = agent_channel_reseed(fake->host.channel, zeros, AGENT_RESEED_MAX, NULL)) == 0)
		ck_assert_int_lt(requests++, 10000);
	ck_assert_int_eq(ret, -EAGAIN);
	/* and what ends things still has room */
	ck_assert_int_eq(agent_command_signal(runs[0].command, 9), 0);
	ck_assert_int_eq(agent_channel_power(fake->host.channel, AGENT_POWER_OFF), 0);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		agent_command_close(runs[i].command);
	/* it reads again: all of it was there */
	fake->out_room = 8u << 20;
	agent_channel_writable(fake->host.channel);
	ck_assert_uint_gt(fake->out_length, 3u << 20);
	ck_assert_uint_lt(fake->out_length, AGENT_CHANNEL_QUEUE_MAX + 100000);
	ck_assert_uint_eq(fake->host.lost, 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(input_waits_in_turns)
{
	static const uint8_t zeros[65536];
	struct run one = {0}, two = {0};
	struct fake *fake = with_command(&one);
	size_t before;

	start(fake, &two);
	before = fake->out_length;
	fake->out_room = before;
	while (agent_command_stdin(one.command, zeros, sizeof(zeros)) > 0)
		;
	while (agent_command_stdin(two.command, zeros, sizeof(zeros)) > 0)
		;
	ck_assert_uint_eq(one.stdin_ready + two.stdin_ready, 0);
	fake->out_room = 8u << 20;
	agent_channel_writable(fake->host.channel);
	/* both had waited (one has no credit left); the one with credit is asked */
	ck_assert_uint_eq(two.stdin_ready, 1);
	ck_assert_uint_eq(one.stdin_ready, 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_failing_write_is_told_later)
{
	struct run run = {0};
	struct fake *fake = with_command(&run);

	fake->write_error = EPIPE;
	ck_assert_int_eq(agent_command_signal(run.command, 15), 0);
	/* no callback from inside */
	ck_assert_uint_eq(fake->host.lost, 0);
	ck_assert_uint_eq(run.failed, 0);
	WAIT_FOR(&fake->host, fake->host.lost);
	ck_assert_uint_eq(run.failed, 1);
	fake_destroy(fake);
}
END_TEST

START_TEST(what_came_before_a_reset_is_still_heard)
{
	struct run run = {0};
	struct fake *fake = with_command(&run);

	put_life(fake);
	agent_channel_closed(fake->host.channel);
	ck_assert_uint_eq(run.exited, 1);
	ck_assert_str_eq(run.out[1], "out");
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_str_eq(fake->host.why, "the connection to the agent was reset");
	agent_command_close(run.command);
	/* a second connection is taken now, and only then */
	fake_attach(fake);
	put_hello(fake, AGENT_VERSION_MAJOR, 0);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 2);
	ck_assert_int_eq(agent_channel_attach(fake->host.channel, &(struct agent_transport){0}),
			 -EBUSY);
	fake_destroy(fake);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	const char *none[] = {NULL}, *one[] = {"x", NULL};
	const char *bad_env[] = {"NAME", NULL}, *no_name[] = {"=x", NULL};
	struct run run = {0};
	struct fake *fake = with_command(&run);
	struct agent_command_spec spec = {.argv = none};

	ck_assert_int_eq(run_start(&fake->host, &run, &spec), -EINVAL);
	spec.argv = one;
	spec.env = bad_env;
	ck_assert_int_eq(run_start(&fake->host, &run, &spec), -EINVAL);
	spec.env = no_name;
	ck_assert_int_eq(run_start(&fake->host, &run, &spec), -EINVAL);
	spec.env = NULL;
	spec.uid = 65536;
	ck_assert_int_eq(run_start(&fake->host, &run, &spec), -EINVAL);
	spec.uid = 65535;
	ck_assert_int_eq(run_start(&fake->host, &run, &spec), 0);
	fake_destroy(fake);
}
END_TEST

/* An application that closes from inside its callbacks. */
static void close_on_failed(void *arg, const struct agent_failure *failure)
{
	struct run *run = arg;

	(void)failure;
	run->failed++;
	agent_command_close(run->command);
}

START_TEST(commands_may_be_closed_from_their_callbacks)
{
	static const struct agent_command_ops ops = {.failed = close_on_failed};
	static struct run runs[20];
	const char *argv[] = {"x", NULL};
	struct agent_command_spec spec = {.argv = argv};
	struct run run = {0};
	struct fake *fake = with_command(&run);
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(runs); i++)
		ck_assert_int_eq(agent_command_start(fake->host.channel, &spec, &ops, &runs[i],
						     &runs[i].command),
				 0);
	/* some are closed before and only wait for the guest */
	agent_command_close(run.command);
	agent_channel_closed(fake->host.channel);
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		ck_assert_uint_eq(runs[i].failed, 1);
	ck_assert_uint_eq(run.failed, 0);
	fake_destroy(fake);
}
END_TEST

/* Which requests have ended, in order, and how. */
struct replies {
	struct fake *fake;
	unsigned count, lost_before;
	int error[2 * AGENT_REQUESTS_MAX], which[2 * AGENT_REQUESTS_MAX];
};

struct one_reply {
	struct replies *all;
	int which;
};

static void one_replied(void *arg, int error)
{
	const struct one_reply *one = arg;
	struct replies *all = one->all;

	ck_assert_uint_lt(all->count, ARRAY_SIZE(all->error));
	all->error[all->count] = error;
	all->which[all->count++] = one->which;
	all->lost_before += all->fake->host.lost;
	/* a request from inside is sent, or refused where the connection is gone */
	ck_assert_int_eq(agent_channel_ping(all->fake->host.channel, NULL),
			 error == AGENT_REPLY_LOST ? -ENOTCONN : 0);
}

static struct fake *with_requests(struct replies *all, struct one_reply *one, unsigned count)
{
	struct fake *fake = fake_create();
	unsigned i;

	*all = (struct replies){.fake = fake};
	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_channel_readable(fake->host.channel);
	for (i = 0; i < count; i++) {
		one[i] = (struct one_reply){.all = all, .which = (int)i + 1};
		ck_assert_int_eq(agent_channel_ping(fake->host.channel,
						    &(struct agent_reply){.done = one_replied,
									  .arg = &one[i]}),
				 0);
	}
	return fake;
}

START_TEST(each_request_gets_its_own_reply_once)
{
	struct one_reply one[3];
	struct replies all;
	struct fake *fake = with_requests(&all, one, 3);

	put32(fake, AGENT_RESULT, 2, 0);
	put32(fake, AGENT_RESULT, 2, 0);  /* again */
	put32(fake, AGENT_RESULT, 77, 0); /* of no request */
	put32(fake, AGENT_RESULT, 1, EBUSY);
	put32(fake, AGENT_RESULT, 3, UINT32_MAX); /* no errno value */
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(all.count, 3);
	ck_assert_int_eq(all.which[0], 2);
	ck_assert_int_eq(all.error[0], 0);
	ck_assert_int_eq(all.which[1], 1);
	ck_assert_int_eq(all.error[1], EBUSY);
	ck_assert_int_eq(all.which[2], 3);
	ck_assert_int_eq(all.error[2], EIO);
	ck_assert_uint_eq(fake->host.lost, 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(requests_end_with_the_connection_in_their_order)
{
	struct one_reply one[AGENT_REQUESTS_MAX];
	struct replies all;
	struct fake *fake = with_requests(&all, one, AGENT_REQUESTS_MAX);
	unsigned i;

	put32(fake, AGENT_RESULT, 1, 0);
	fake->in_end = true;
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(all.count, AGENT_REQUESTS_MAX);
	for (i = 0; i < AGENT_REQUESTS_MAX; i++) {
		ck_assert_int_eq(all.which[i], (int)i + 1);
		ck_assert_int_eq(all.error[i], i == 0 ? 0 : AGENT_REPLY_LOST);
	}
	/* all of them before the owner hears of the loss, and no reply of the next one is theirs */
	ck_assert_uint_eq(all.lost_before, 0);
	ck_assert_uint_eq(fake->host.lost, 1);
	fake->in_end = false;
	fake_attach(fake);
	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	put32(fake, AGENT_RESULT, 2, 0);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.ready, 2);
	ck_assert_uint_eq(all.count, AGENT_REQUESTS_MAX);
	fake_destroy(fake);
}
END_TEST

START_TEST(requests_that_wait_are_bounded_and_end_silently_with_the_channel)
{
	struct one_reply one[AGENT_REQUESTS_MAX];
	struct replies all;
	struct fake *fake = with_requests(&all, one, AGENT_REQUESTS_MAX);

	ck_assert_int_eq(agent_channel_ping(fake->host.channel, HOST_REPLY(&fake->host)), -EAGAIN);
	/* but one whose reply is not waited for still goes */
	ck_assert_int_eq(agent_channel_ping(fake->host.channel, NULL), 0);
	fake_destroy(fake);
	ck_assert_uint_eq(all.count, 0);
}
END_TEST

UNIT_MAIN("agent_channel", greeting_is_taken_apart,
	  another_major_version_is_refused_with_both_named, what_does_not_greet_is_not_the_agent,
	  frames_may_be_cut_anywhere, an_end_within_a_frame_is_an_end,
	  a_frame_that_breaks_a_rule_ends_the_connection, output_beyond_its_credit_is_not_taken,
	  input_keeps_to_its_credit, a_guest_that_reads_nothing_costs_bounded_memory,
	  input_waits_in_turns, a_failing_write_is_told_later,
	  what_came_before_a_reset_is_still_heard, bad_arguments_are_refused,
	  commands_may_be_closed_from_their_callbacks, each_request_gets_its_own_reply_once,
	  requests_end_with_the_connection_in_their_order,
	  requests_that_wait_are_bounded_and_end_silently_with_the_channel)
