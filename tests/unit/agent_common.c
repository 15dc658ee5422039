/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent_common.h"

void pair_create(struct pair *pair)
{
	int fd;

	pair->agent = agent_spawn(&fd);
	host_create(&pair->host);
	host_attach(&pair->host, fd);
	WAIT_FOR(&pair->host, pair->host.ready || pair->host.lost);
	ck_assert_uint_eq(pair->host.ready, 1);
}

void pair_destroy(struct pair *pair)
{
	host_destroy(&pair->host);
	agent_wait(pair->agent);
}

bool ended(const struct run *run)
{
	return run->exited || run->failed;
}

void shell_start(struct pair *pair, struct run *run, const char *script)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct agent_command_spec spec = {.argv = argv, .workdir = "/"};

	ck_assert_int_eq(run_start(&pair->host, run, &spec), 0);
}

void shell(struct pair *pair, struct run *run, const char *script)
{
	shell_start(pair, run, script);
	WAIT_FOR(&pair->host, ended(run));
	agent_command_close(run->command);
}

void ping(struct host *host)
{
	unsigned before = host->replies;

	ck_assert_int_eq(agent_channel_ping(host->channel, HOST_REPLY(host)), 0);
	WAIT_FOR(host, host->replies == before + 1);
	ck_assert_int_eq(host->reply, 0);
}
