/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the agent channel: a channel over a socket, and commands that record all. */
#ifndef CORDON_TEST_AGENT_HOST_H
#define CORDON_TEST_AGENT_HOST_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/agent/channel.h"
#include "vmm/base/fd.h"

struct host {
	struct loop *loop;
	struct agent_channel *channel;
	struct loop_source source;
	struct agent_info info;
	unsigned ready, lost, power, replies;
	enum agent_power power_kind;
	int reply; /* the last one's error */
	char why[AGENT_MESSAGE_MAX];
};

void host_replied(void *arg, int error);

/* For a request: what became of it is in replies and reply. */
#define HOST_REPLY(host) (&(struct agent_reply){.done = host_replied, .arg = (host)})

void host_create(struct host *host);
void host_attach(struct host *host, int fd);
void host_destroy(struct host *host);

/* A command and all that was heard of it. */
struct run {
	struct host *host;
	struct agent_command *command;
	bool hold; /* consume nothing */
	bool (*take)(struct run *run, unsigned stream, const uint8_t *data, size_t length);
	char out[3][8192]; /* the first bytes of each stream, ended by zero */
	size_t length[3];
	unsigned eof[3], started, exited, failed, stdin_ready, stdin_closed;
	uint32_t pid;
	struct agent_exit status;
	int fail_status, fail_errno;
	char message[AGENT_MESSAGE_MAX + 1];
};

int run_start(struct host *host, struct run *run, const struct agent_command_spec *spec);

/* Lets the loop run until the condition holds. A condition that never comes is a hang. */
#define WAIT_FOR(host, condition)                                    \
	do {                                                         \
		while (!(condition))                                 \
			ck_assert_int_eq(loop_run((host)->loop), 0); \
	} while (0)

#endif
