/* SPDX-License-Identifier: Apache-2.0 */
/* For the agent channel's tests: a channel over a socket, and commands that record all events. */
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
	unsigned ready, lost, power, replies, checks, gone;
	uint32_t number; /* of the last check, or of the one that is gone */
	bool no_path;
	unsigned events;
	struct agent_event event;   /* the last one; its strings are below */
	char path[64], program[64]; /* of the last check */
	enum agent_power power_kind;
	int reply; /* error of the last reply */
	char why[AGENT_MESSAGE_MAX];
};

void host_replied(void *arg, int error);

/* For a request: records its outcome in replies and reply. */
#define HOST_REPLY(host) (&(struct agent_reply){.done = host_replied, .arg = (host)})

void host_create(struct host *host);
void host_attach(struct host *host, int fd);
void host_destroy(struct host *host);

/* A command and everything that its callbacks have reported. */
struct run {
	struct host *host;
	struct agent_command *command;
	bool hold; /* consume nothing */
	bool (*take)(struct run *run, unsigned stream, const uint8_t *data, size_t length);
	char out[3][8192]; /* the first bytes of each stream, NUL-terminated */
	size_t length[3];
	unsigned eof[3], started, exited, failed, stdin_ready, stdin_closed;
	uint32_t pid;
	struct agent_exit status;
	int fail_status, fail_errno;
	char message[AGENT_MESSAGE_MAX + 1];
};

int run_start(struct host *host, struct run *run, const struct agent_command_spec *spec);

/* Runs the loop until the condition holds. If it never does, the test hangs. */
#define WAIT_FOR(host, condition)                                    \
	do {                                                         \
		while (!(condition))                                 \
			ck_assert_int_eq(loop_run((host)->loop), 0); \
	} while (0)

#endif
