/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of the agent channel with the real agent at the other end. */
#include <fcntl.h>
#include <sys/stat.h>

#include "guest-kernel/agent/agent.h"
#include "tests/support/agent_host.h"
#include "tests/support/agent_real.h"
#include "tests/unit/agent_common.h"

START_TEST(greeting_tells_version_and_build)
{
	struct pair pair;

	pair_create(&pair);
	ck_assert_uint_eq(pair.host.info.major, AGENT_VERSION_MAJOR);
	ck_assert_uint_eq(pair.host.info.connections, 1);
	ck_assert_str_eq(pair.host.info.build, CORDON_VERSION);
	ck_assert(agent_channel_is_ready(pair.host.channel));
	pair_destroy(&pair);
}
END_TEST

START_TEST(output_is_separate_and_the_status_is_its_own)
{
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	shell(&pair, &run, "echo out; echo err >&2; exit 7");
	ck_assert_uint_eq(run.started, 1);
	ck_assert_uint_eq(run.exited, 1);
	ck_assert_int_eq(run.status.code, 7);
	ck_assert_int_eq(run.status.signal, 0);
	ck_assert_str_eq(run.out[1], "out\n");
	ck_assert_str_eq(run.out[2], "err\n");
	ck_assert_uint_eq(run.eof[1], 1);
	ck_assert_uint_eq(run.eof[2], 1);
	pair_destroy(&pair);
}
END_TEST

START_TEST(use_of_resources_is_reported)
{
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	shell(&pair, &run, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
	ck_assert_int_eq(run.status.code, 0);
	ck_assert_uint_gt(run.status.user_us + run.status.system_us, 0);
	ck_assert_uint_gt(run.status.real_us, 0);
	ck_assert_uint_gt(run.status.max_rss_kib, 100);
	ck_assert_uint_gt(run.status.minor_faults, 0);
	pair_destroy(&pair);
}
END_TEST

START_TEST(signals_reach_the_whole_group)
{
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	shell(&pair, &run, "kill -USR1 $$");
	ck_assert_int_eq(run.status.signal, SIGUSR1);
	/* sleep is a child of the shell, and the shell waits for it */
	shell_start(&pair, &run,
		    "trap 'echo caught; exit 3' INT; sh -c 'echo go; exec sleep 1000'; exit 4");
	WAIT_FOR(&pair.host, run.length[1] >= 3);
	ck_assert_int_eq(agent_command_signal(run.command, 0), -EINVAL);
	ck_assert_int_eq(agent_command_signal(run.command, 65), -EINVAL);
	ck_assert_int_eq(agent_command_signal(run.command, SIGINT), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_str_eq(run.out[1], "go\ncaught\n");
	ck_assert_int_eq(run.status.code, 3);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(input_ends_on_request)
{
	const char *argv[] = {"cat", NULL};
	struct agent_command_spec spec = {.argv = argv};
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	/* before it has even started */
	ck_assert_uint_eq(agent_command_stdin(run.command, "hello", 5), 5);
	WAIT_FOR(&pair.host, run.length[1] == 5);
	ck_assert_uint_eq(run.exited, 0);
	ck_assert_int_eq(agent_command_stdin_eof(run.command), 0);
	ck_assert_int_eq(agent_command_stdin_eof(run.command), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_str_eq(run.out[1], "hello");
	ck_assert_int_eq(run.status.code, 0);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

/* A pattern with a period that no buffer size divides. */
static uint8_t pattern(size_t at)
{
	return (uint8_t)((at % 251) ^ (at / 65521));
}

static bool take_pattern(struct run *run, unsigned stream, const uint8_t *data, size_t length)
{
	size_t at = run->length[stream] - length, i;

	for (i = 0; i < length; i++)
		if (data[i] != pattern(at + i))
			return false;
	return true;
}

START_TEST(megabytes_pass_byte_exact)
{
	const size_t total = MIB(64);
	const char *argv[] = {"cat", NULL};
	struct agent_command_spec spec = {.argv = argv};
	struct run run = {.take = take_pattern};
	static uint8_t chunk[70001];
	size_t sent = 0, taken, i, n;
	struct pair pair;

	pair_create(&pair);
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	while (sent < total) {
		n = min_u64(sizeof(chunk), total - sent);
		for (i = 0; i < n; i++)
			chunk[i] = pattern(sent + i);
		taken = agent_command_stdin(run.command, chunk, n);
		sent += taken;
		if (taken < n) {
			run.stdin_ready = 0;
			WAIT_FOR(&pair.host, run.stdin_ready);
		}
	}
	ck_assert_int_eq(agent_command_stdin_eof(run.command), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_uint_eq(run.length[1], total);
	ck_assert_int_eq(run.status.code, 0);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

static size_t resident_kib(pid_t pid)
{
	char path[64];
	unsigned long size, resident;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu %lu", &size, &resident), 2);
	fclose(file);
	return resident * 4;
}

START_TEST(a_reader_that_stops_stops_the_writer)
{
	struct run run = {.hold = true}, other = {0};
	struct pair pair;
	size_t before;
	int i;

	pair_create(&pair);
	before = resident_kib(pair.agent);
	shell_start(&pair, &run, "exec yes");
	WAIT_FOR(&pair.host, run.length[1] == AGENT_WINDOW_OUTPUT);
	for (i = 0; i < 100; i++)
		ping(&pair.host);
	ck_assert_uint_eq(run.length[1], AGENT_WINDOW_OUTPUT);
	ck_assert_uint_lt(resident_kib(pair.agent), before + 2048);
	/* others are not held up */
	shell(&pair, &other, "echo free");
	ck_assert_str_eq(other.out[1], "free\n");
	/* and it goes on when the reader does */
	agent_command_consumed(run.command, 1, AGENT_WINDOW_OUTPUT);
	WAIT_FOR(&pair.host, run.length[1] == 2 * AGENT_WINDOW_OUTPUT);
	ck_assert_int_eq(agent_command_signal(run.command, SIGKILL), 0);
	run.hold = false;
	agent_command_consumed(run.command, 1, AGENT_WINDOW_OUTPUT);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_int_eq(run.status.signal, SIGKILL);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(a_command_that_never_reads_does_not_stall_others)
{
	static const uint8_t zeros[65536];
	struct run run = {0}, other = {0};
	struct pair pair;
	size_t sent = 0, n;
	int i;

	pair_create(&pair);
	shell_start(&pair, &run, "echo go; exec sleep 1000");
	WAIT_FOR(&pair.host, run.length[1] == 3);
	for (i = 0; i < 50; i++) {
		do {
			n = agent_command_stdin(run.command, zeros, sizeof(zeros));
			sent += n;
		} while (n > 0);
		ping(&pair.host);
	}
	/* a pipe's worth, and the window */
	ck_assert_uint_ge(sent, AGENT_WINDOW_STDIN);
	ck_assert_uint_le(sent, AGENT_WINDOW_STDIN + 65536);
	shell(&pair, &other, "echo free");
	ck_assert_str_eq(other.out[1], "free\n");
	agent_command_close(run.command);
	ping(&pair.host);
	pair_destroy(&pair);
}
END_TEST

START_TEST(input_without_a_reader_is_reported)
{
	struct run run = {0};
	struct pair pair;

	pair_create(&pair);
	shell_start(&pair, &run, "exec <&-; echo closed; read x <&1; exit 5");
	WAIT_FOR(&pair.host, run.stdin_closed);
	ck_assert_uint_eq(agent_command_stdin(run.command, "dropped", 7), 7);
	WAIT_FOR(&pair.host, ended(&run) || run.length[1]);
	agent_command_signal(run.command, SIGKILL);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_str_eq(run.out[1], "closed\n");
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(a_terminal_can_be_resized)
{
	const char *argv[] = {"sh", "-c",
			      "test -t 0 && test -t 1 && test -t 2 && stty size; echo $TERM; "
			      "read x; stty size; exit 9",
			      NULL};
	const char *env[] = {"TERM=vt100", NULL};
	struct agent_command_spec spec = {
		.argv = argv,
		.env = env,
		.terminal = true,
		.rows = 33,
		.columns = 101,
	};
	struct run run = {0};
	struct pair pair;

	pair_create(&pair);
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	WAIT_FOR(&pair.host, strstr(run.out[1], "vt100") || ended(&run));
	ck_assert_ptr_nonnull(strstr(run.out[1], "33 101"));
	agent_command_resize(run.command, 12, 34);
	ck_assert_uint_eq(agent_command_stdin(run.command, "x\n", 2), 2);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_ptr_nonnull(strstr(run.out[1], "12 34"));
	ck_assert_uint_eq(run.length[2], 0);
	ck_assert_uint_eq(run.eof[1], 1);
	ck_assert_uint_eq(run.eof[2], 0);
	ck_assert_int_eq(run.status.code, 9);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(a_terminal_turns_control_c_into_a_signal)
{
	const char *argv[] = {"sleep", "1000", NULL};
	struct agent_command_spec spec = {.argv = argv, .terminal = true};
	struct run run = {0};
	struct pair pair;

	pair_create(&pair);
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	ck_assert_uint_eq(agent_command_stdin(run.command, "\003", 1), 1);
	/* it may come before the terminal is the command's own: then again */
	while (!ended(&run)) {
		ping(&pair.host);
		agent_command_stdin(run.command, "\003", 1);
	}
	ck_assert_int_eq(run.status.signal, SIGINT);
	agent_command_close(run.command);
	/* end of input on a terminal is ^D */
	argv[0] = "cat";
	argv[1] = NULL;
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	ck_assert_uint_eq(agent_command_stdin(run.command, "line\n", 5), 5);
	WAIT_FOR(&pair.host, run.length[1] == 12);
	ck_assert_int_eq(agent_command_stdin_eof(run.command), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_str_eq(run.out[1], "line\r\nline\r\n");
	ck_assert_int_eq(run.status.code, 0);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(many_run_at_once)
{
	static struct run runs[AGENT_COMMANDS_MAX + 1];
	struct agent_command_spec spec;
	const char *argv[] = {"cat", NULL};
	char text[32];
	struct pair pair;
	unsigned i;

	pair_create(&pair);
	spec = (struct agent_command_spec){.argv = argv};
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		ck_assert_int_eq(run_start(&pair.host, &runs[i], &spec), 0);
	ck_assert_int_eq(run_start(&pair.host, &runs[i], &spec), -EAGAIN);
	ck_assert_ptr_null(runs[i].command);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
		snprintf(text, sizeof(text), "number %u", i);
		ck_assert_uint_eq(agent_command_stdin(runs[i].command, text, strlen(text)),
				  strlen(text));
	}
	for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
		ck_assert_int_eq(agent_command_stdin_eof(runs[i].command), 0);
		WAIT_FOR(&pair.host, ended(&runs[i]));
		snprintf(text, sizeof(text), "number %u", i);
		ck_assert_str_eq(runs[i].out[1], text);
		agent_command_close(runs[i].command);
	}
	/* the places are free again */
	ck_assert_int_eq(run_start(&pair.host, &runs[0], &spec), 0);
	agent_command_close(runs[0].command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(two_floods_take_turns)
{
	struct run one = {0}, two = {0};
	struct pair pair;

	pair_create(&pair);
	shell_start(&pair, &one, "exec yes 1");
	shell_start(&pair, &two, "exec yes 2");
	/* neither is starved: each gets far while the other does too */
	WAIT_FOR(&pair.host, one.length[1] > MIB(4) && two.length[1] > MIB(4));
	agent_command_close(one.command);
	agent_command_close(two.command);
	ping(&pair.host);
	pair_destroy(&pair);
}
END_TEST

/* What may be about to end is waited for, but not by output or by a process that stands still. */
START_TEST(frames_say_how_soon_they_are_wanted)
{
	static struct link link;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	link.fd = fds[0];
	link_send(&link, AGENT_STARTED, 0, 1, "1234", 4);
	link_send(&link, AGENT_OUTPUT_EOF, 1, 1, NULL, 0);
	ck_assert_int_eq(link.wanted, LINK_LATER);
	link_send(&link, AGENT_OUTPUT, 1, 1, "x", 1);
	ck_assert_int_eq(link.wanted, LINK_SOON);
	link_send(&link, AGENT_EXEC_CHECK, 0, 1, "", 1);
	link_send(&link, AGENT_OUTPUT, 1, 1, "x", 1);
	ck_assert_int_eq(link.wanted, LINK_NOW);
	link_flush(&link);
	ck_assert_uint_eq(link.out_used, 0);
	ck_assert_int_eq(link.wanted, LINK_LATER);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

UNIT_MAIN("agent", frames_say_how_soon_they_are_wanted, greeting_tells_version_and_build,
	  output_is_separate_and_the_status_is_its_own, use_of_resources_is_reported,
	  signals_reach_the_whole_group, input_ends_on_request, megabytes_pass_byte_exact,
	  a_reader_that_stops_stops_the_writer, a_command_that_never_reads_does_not_stall_others,
	  input_without_a_reader_is_reported, a_terminal_can_be_resized,
	  a_terminal_turns_control_c_into_a_signal, many_run_at_once, two_floods_take_turns)
