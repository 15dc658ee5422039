/* SPDX-License-Identifier: Apache-2.0 */
/* The channel: credit of input, closing, requests and their replies. */
#include "tests/support/agent_host.h"

#include <sys/socket.h>
#include "tests/unit/agent_channel_common.h"

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
	/* both had waited (one has no credit left); the one with credit is notified */
	ck_assert_uint_eq(two.stdin_ready, 1);
	ck_assert_uint_eq(one.stdin_ready, 0);
	fake_destroy(fake);
}
END_TEST

/* The sizes that the guest has got since `from`; *rows, *columns: the last one. */
static unsigned count_resizes(const struct fake *fake, size_t from, unsigned *rows,
			      unsigned *columns)
{
	struct agent_header header;
	unsigned count = 0;
	size_t at;

	for (at = from; at < fake->out_length; at += AGENT_HEADER_SIZE + header.length) {
		header = agent_get_header(fake->out + at);
		if (header.type != AGENT_RESIZE)
			continue;
		*rows = agent_get16(fake->out + at + AGENT_HEADER_SIZE);
		*columns = agent_get16(fake->out + at + AGENT_HEADER_SIZE + 2);
		count++;
	}
	return count;
}

/* While the guest reads nothing, sizes of a window need no room; then it gets the last one. */
START_TEST(a_storm_of_sizes_leaves_the_last)
{
	static const uint8_t zeros[4096];
	struct run one = {0}, two = {0};
	struct fake *fake = with_command(&one);
	unsigned rows = 0, columns = 0, i;
	size_t from = fake->out_length;

	start(fake, &two);
	/* A guest that reads gets each. */
	for (i = 1; i <= 3; i++)
		agent_command_resize(one.command, (uint16_t)i, 80);
	ck_assert_uint_eq(count_resizes(fake, from, &rows, &columns), 3);
	from = fake->out_length;
	fake->out_room = from;
	for (i = 0; i < 1000000; i++)
		agent_command_resize(i % 2 ? one.command : two.command, (uint16_t)i, 100);
	agent_command_resize(two.command, 7, 8);
	agent_command_resize(one.command, 33, 44);
	/* Nothing of the queue is taken from input, signals and requests. */
	ck_assert_uint_eq(agent_command_stdin(one.command, zeros, sizeof(zeros)), sizeof(zeros));
	ck_assert_int_eq(agent_command_signal(one.command, 15), 0);
	ck_assert_int_eq(agent_channel_ping(fake->host.channel, NULL), 0);
	fake->out_room = 8u << 20;
	agent_channel_writable(fake->host.channel);
	ck_assert_uint_eq(count_resizes(fake, from, &rows, &columns), 4);
	ck_assert_uint_eq(columns, rows == 33 ? 44 : 8);
	ck_assert_uint_lt(fake->out_length - from, sizeof(zeros) + 300);
	/* Both are through: the next one is sent at once. */
	from = fake->out_length;
	agent_command_resize(one.command, 34, 45);
	ck_assert_uint_eq(count_resizes(fake, from, &rows, &columns), 1);
	ck_assert_uint_eq(rows, 34);
	/* An ended connection takes its sizes with it. */
	fake->out_room = fake->out_length;
	agent_command_resize(two.command, 1, 1);
	agent_command_resize(two.command, 2, 2);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_failed_write_is_reported_later)
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

START_TEST(data_before_a_reset_is_delivered)
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

START_TEST(an_older_agent_gets_only_users_that_it_knows)
{
	static const struct {
		const char *user;
		uint32_t uid;
		int ret, old; /* of an agent with the feature, and without it */
	} cases[] = {
		{NULL, 65535, 0, 0},
		{NULL, 65536, 0, -EINVAL},
		{NULL, AGENT_SANDBOX_ID_MAX, 0, -EINVAL},
		{NULL, AGENT_SANDBOX_ID_MAX + 1, -EINVAL, -EINVAL},
		{"worker", 0, 0, 0},
		{"77", 0, 0, -EOPNOTSUPP},
		{"worker:extra", 0, 0, -EOPNOTSUPP},
	};
	const char *argv[] = {"x", NULL};
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct fake *fake = with_features(i % 2 ? AGENT_FEATURE_USERS : 0);
		struct agent_command_spec spec = {
			.argv = argv, .user = cases[i / 2].user, .uid = cases[i / 2].uid};
		struct run run = {0};
		int ret = run_start(&fake->host, &run, &spec);

		ck_assert_msg(ret == (i % 2 ? cases[i / 2].ret : cases[i / 2].old), "%zu: %d", i,
			      ret);
		fake_destroy(fake);
	}
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
	/* all of them before the owner learns of the loss, and no reply of the next one is theirs
	 */
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

UNIT_MAIN("agent_channel_use", input_keeps_to_its_credit,
	  a_guest_that_reads_nothing_costs_bounded_memory, input_waits_in_turns,
	  a_storm_of_sizes_leaves_the_last, a_failed_write_is_reported_later,
	  data_before_a_reset_is_delivered, bad_arguments_are_refused,
	  an_older_agent_gets_only_users_that_it_knows, commands_may_be_closed_from_their_callbacks,
	  each_request_gets_its_own_reply_once, requests_end_with_the_connection_in_their_order,
	  requests_that_wait_are_bounded_and_end_silently_with_the_channel)
