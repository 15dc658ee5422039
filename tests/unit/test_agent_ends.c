/* SPDX-License-Identifier: Apache-2.0 */
/* The real agent: what a command starts with, and how it and its connection end. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/agent_host.h"
#include "tests/support/agent_real.h"
#include "tests/unit/agent_common.h"

static void expect_failure(struct pair *pair, const struct agent_command_spec *spec, int status,
			   const char *message)
{
	struct run run = {0};

	ck_assert_int_eq(run_start(&pair->host, &run, spec), 0);
	WAIT_FOR(&pair->host, ended(&run));
	ck_assert_uint_eq(run.exited, 0);
	ck_assert_int_eq(run.fail_status, status);
	ck_assert_str_eq(run.message, message);
	ck_assert_uint_eq(run.length[1] + run.length[2], 0);
	agent_command_close(run.command);
}

START_TEST(a_command_that_cannot_run_says_why)
{
	const char *argv[] = {"no-such-program", NULL};
	struct agent_command_spec spec = {.argv = argv};
	char script[] = "/tmp/cordon-test-XXXXXX", text[256];
	struct pair pair;
	struct run run = {0};
	int fd;

	pair_create(&pair);
	expect_failure(&pair, &spec, 127, "no-such-program: not found in the sandbox");
	argv[0] = "";
	expect_failure(&pair, &spec, 127, ": not found in the sandbox");
	argv[0] = "/etc/passwd";
	expect_failure(&pair, &spec, 126, "/etc/passwd: permission denied in the sandbox");
	argv[0] = "/etc/passwd/x";
	expect_failure(&pair, &spec, 127, "/etc/passwd/x: not found in the sandbox");
	argv[0] = script;
	fd = mkstemp(script);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0755), 0);
	ck_assert_int_eq(fd_write_full(fd, "#!/no/such/shell\n", 17), 0);
	fd_close(&fd);
	snprintf(text, sizeof(text), "%s: its interpreter or loader is not in the sandbox", script);
	expect_failure(&pair, &spec, 127, text);
	fd = open(script, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ck_assert_int_eq(fd_write_full(fd, "plain", 5), 0);
	fd_close(&fd);
	snprintf(text, sizeof(text), "%s: not a program that the sandbox can run", script);
	expect_failure(&pair, &spec, 126, text);
	unlink(script);
	argv[0] = "true";
	spec.workdir = "/no/such/place";
	expect_failure(&pair, &spec, 125, "/no/such/place: no such directory in the sandbox");
	spec.workdir = NULL;
	spec.user = "no-such-user";
	expect_failure(&pair, &spec, 125, "no-such-user: no such user in the sandbox");
	/* the twin: the same with all of it there */
	spec.user = "root";
	spec.workdir = "/tmp";
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_uint_eq(run.exited, 1);
	ck_assert_int_eq(run.status.code, 0);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(the_environment_is_defaults_and_given_variables)
{
	const char *argv[] = {"env", NULL};
	const char *env[] = {"NAME=some value=x", "HOME=/elsewhere", NULL};
	struct agent_command_spec spec = {.argv = argv, .env = env, .workdir = "/tmp"};
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	WAIT_FOR(&pair.host, ended(&run));
	agent_command_close(run.command);
	ck_assert_str_eq(run.out[1],
			 "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:"
			 "/sbin:/run/cordon\nUSER=root\nNAME=some value=x\nHOME=/elsewhere\n");
	shell(&pair, &run, "pwd; echo $HOME; umask; trap; ulimit -n >/dev/null");
	ck_assert_str_eq(run.out[1], "/\n/root\n0022\n");
	argv[0] = "pwd";
	spec.env = NULL;
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_str_eq(run.out[1], "/tmp\n");
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

START_TEST(descriptors_and_signals_are_as_programs_expect)
{
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	shell(&pair, &run,
	      "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)|NoNew' /proc/self/status | cut -f2");
	/* the fourth descriptor is that of ls itself */
	ck_assert_str_eq(run.out[1], "0\n1\n2\n3\n0000000000000000\n0000000000000000\n1\n");
	pair_destroy(&pair);
}
END_TEST

START_TEST(long_argument_lists_come_through)
{
	static char big[100000 + 1];
	const char *argv[] = {
		"sh", "-c", "echo $# ${#1} ${#9}", "sh", big, big, big, big, big, big, big, big,
		big,  NULL};
	struct agent_command_spec spec = {.argv = argv};
	static char huge[AGENT_START_MAX];
	const char *too_much[] = {"true", huge, NULL};
	struct pair pair;
	struct run run = {0};

	memset(big, 'x', sizeof(big) - 1);
	memset(huge, 'x', sizeof(huge) - 1);
	pair_create(&pair);
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), 0);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_str_eq(run.out[1], "9 100000 100000\n");
	agent_command_close(run.command);
	spec.argv = too_much;
	ck_assert_int_eq(run_start(&pair.host, &run, &spec), -E2BIG);
	pair_destroy(&pair);
}
END_TEST

START_TEST(background_processes_do_not_delay_the_end)
{
	struct pair pair;
	struct run run = {0};
	int pid;

	pair_create(&pair);
	/* the child keeps both pipes open for ever */
	shell(&pair, &run, "sleep 1000 & echo $!");
	ck_assert_int_eq(run.status.code, 0);
	pid = atoi(run.out[1]);
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	pair_destroy(&pair);
}
END_TEST

START_TEST(unread_output_comes_after_the_end)
{
	struct pair pair;
	struct run run = {.hold = true};

	pair_create(&pair);
	/* more than the window: the rest waits in the pipe of a process that is gone */
	shell_start(&pair, &run, "head -c 300000 /dev/zero");
	WAIT_FOR(&pair.host, run.length[1] == AGENT_WINDOW_OUTPUT);
	ping(&pair.host);
	ck_assert(!ended(&run));
	run.hold = false;
	agent_command_consumed(run.command, 1, AGENT_WINDOW_OUTPUT);
	WAIT_FOR(&pair.host, ended(&run));
	ck_assert_uint_eq(run.length[1], 300000);
	ck_assert_int_eq(run.status.code, 0);
	agent_command_close(run.command);
	pair_destroy(&pair);
}
END_TEST

static void wait_gone(struct host *host, pid_t pid)
{
	while (kill(pid, 0) == 0)
		ping(host);
	ck_assert_int_eq(errno, ESRCH);
}

START_TEST(closing_a_command_kills_it)
{
	struct pair pair;
	struct run run = {0};

	pair_create(&pair);
	shell_start(&pair, &run, "trap '' TERM HUP INT; echo go; while :; do sleep 1000; done");
	WAIT_FOR(&pair.host, run.length[1] == 3);
	agent_command_close(run.command);
	wait_gone(&pair.host, (pid_t)run.pid);
	ck_assert_uint_eq(run.exited + run.failed, 0);
	pair_destroy(&pair);
}
END_TEST

START_TEST(commands_die_with_the_connection)
{
	struct pair pair;
	struct run run = {0};
	char path[64];

	pair_create(&pair);
	shell_start(&pair, &run, "echo go; sleep 1000");
	WAIT_FOR(&pair.host, run.length[1] == 3);
	host_destroy(&pair.host);
	agent_wait(pair.agent);
	/* its parent is gone: another process reaps it, or it stays a zombie */
	snprintf(path, sizeof(path), "/proc/%u/exe", run.pid);
	while (readlink(path, run.out[2], 100) > 0)
		usleep(1000);
}
END_TEST

START_TEST(an_agent_that_dies_fails_every_command)
{
	struct pair pair;
	struct run one = {0}, two = {0};
	int fd;

	pair_create(&pair);
	shell_start(&pair, &one, "sleep 0.01; sleep 1000");
	shell_start(&pair, &two, "sleep 0.01; sleep 1000");
	WAIT_FOR(&pair.host, one.started && two.started);
	kill(pair.agent, SIGKILL);
	WAIT_FOR(&pair.host, pair.host.lost);
	ck_assert_uint_eq(one.failed, 1);
	ck_assert_uint_eq(two.failed, 1);
	ck_assert_int_eq(two.fail_status, 125);
	ck_assert_str_eq(two.message, pair.host.why);
	ck_assert_int_eq(waitpid(pair.agent, NULL, 0), pair.agent);
	kill(-(pid_t)one.pid, SIGKILL);
	kill(-(pid_t)two.pid, SIGKILL);
	ck_assert_int_eq(agent_command_signal(one.command, SIGTERM), 0);
	agent_command_close(one.command);
	/* a new agent takes over the channel */
	pair.agent = agent_spawn(&fd);
	host_attach(&pair.host, fd);
	WAIT_FOR(&pair.host, pair.host.ready == 2);
	shell(&pair, &one, "echo again");
	ck_assert_str_eq(one.out[1], "again\n");
	pair_destroy(&pair);
}
END_TEST

/* The reply to a request that was sent with HOST_REPLY(). */
static int reply_to(struct host *host, int sent)
{
	unsigned before = host->replies;

	ck_assert_int_eq(sent, 0);
	WAIT_FOR(host, host->replies == before + 1);
	return host->reply;
}

START_TEST(requests_get_replies_and_power_is_announced)
{
	struct agent_mount mount = {.number = 3, .path = "/w"};
	struct agent_root root = {.lower = AGENT_LOWER_DISK, .type = "ext4"};
	struct agent_channel *channel;
	struct agent_reply *reply;
	struct host *host;
	struct pair pair;

	pair_create(&pair);
	host = &pair.host;
	channel = host->channel;
	reply = HOST_REPLY(host);
	ping(host);
	/* an agent in a test refuses to change the machine */
	ck_assert_int_eq(reply_to(host, agent_channel_set_time(channel, 1, 2, reply)), EPERM);
	reply_to(host, agent_channel_reseed(channel, "random", 6, reply));
	reply_to(host, agent_channel_set_hostname(channel, "name", reply));
	ck_assert_int_eq(reply_to(host, agent_channel_set_root(channel, &root, reply)), EPERM);
	root.type = "a name of seventeen";
	ck_assert_int_eq(agent_channel_set_root(channel, &root, reply), -EINVAL);
	ck_assert_int_eq(reply_to(host, agent_channel_mount(channel, &mount, reply)), EPERM);
	mount.path = "w";
	ck_assert_int_eq(agent_channel_mount(channel, &mount, reply), -EINVAL);
	ck_assert_int_eq(agent_channel_set_time(channel, -1, 0, reply), -EINVAL);
	ck_assert_int_eq(agent_channel_reseed(channel, "", 0, reply), -EINVAL);
	ck_assert_int_eq(agent_channel_set_hostname(channel, "", reply), -EINVAL);
	ck_assert_int_eq(agent_channel_power(channel, AGENT_POWER_REBOOT), 0);
	WAIT_FOR(host, host->lost);
	ck_assert_uint_eq(host->power, 1);
	ck_assert_int_eq(host->power_kind, AGENT_POWER_REBOOT);
	ck_assert_int_eq(agent_channel_ping(channel, reply), -ENOTCONN);
	ck_assert_uint_eq(host->replies, 6);
	pair_destroy(&pair);
}
END_TEST

UNIT_MAIN("agent_ends", a_command_that_cannot_run_says_why,
	  the_environment_is_defaults_and_given_variables,
	  descriptors_and_signals_are_as_programs_expect, long_argument_lists_come_through,
	  background_processes_do_not_delay_the_end, unread_output_comes_after_the_end,
	  closing_a_command_kills_it, commands_die_with_the_connection,
	  an_agent_that_dies_fails_every_command, requests_get_replies_and_power_is_announced)
