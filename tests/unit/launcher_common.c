/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/launcher_common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/spawn.h"

/* Sends the bytes back, twice, with its descriptor. */
static int run_echo(struct launcher_task *task, void *state, struct launcher_message *message)
{
	(void)state;
	launcher_part(task, message);
	launcher_part(task, message);
	return 0;
}

static int run_refuse(struct launcher_task *task, void *state, struct launcher_message *message)
{
	(void)task;
	(void)message;
	return *(const int *)state;
}

/* Runs the shell script that the table has, with the request's descriptor as stdout. */
static int run_script(struct launcher_task *task, void *state, struct launcher_message *message)
{
	char *const argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", state, NULL};
	pid_t pid;
	int ret = spawn_program(&pid, SPAWN_USER, "/bin/sh", argv,
				(const int[]){-1, message->fd[0], -1}, 3);

	if (ret == 0)
		launcher_child(task, pid);
	return ret;
}

/* Replies with the numbers of its descriptors, its name, and its process group. */
static int run_look(struct launcher_task *task, void *state, struct launcher_message *message)
{
	char text[512] = "", name[16];
	struct launcher_message part = {.bytes = text};
	size_t length = 0;
	int fd;

	(void)state;
	(void)message;
	for (fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%d ", fd);
	prctl(PR_GET_NAME, name);
	length += (size_t)snprintf(text + length, sizeof(text) - length, "%s %d %d", name,
				   getpgrp() == getpid(), prctl(PR_GET_DUMPABLE));
	part.length = length + 1;
	launcher_part(task, &part);
	return 0;
}

#define STUBBORN "trap '' TERM HUP INT; echo up; while :; do sleep 1000; done"

static int refusal = -EACCES;
static char stubborn[] = STUBBORN, seven[] = "sleep 1000 & echo up; exit 7";

const struct launcher_request echo = {
	.name = "echo", .least = 1, .most = LAUNCHER_BYTES, .fds = 1, .run = run_echo};
const struct launcher_request refuse = {.name = "refuse", .most = 8, .run = run_refuse};
const struct launcher_request hold = {.name = "hold", .fds = 1, .run = run_script};
const struct launcher_request leave = {.name = "leave", .fds = 1, .run = run_script};
const struct launcher_request look = {.name = "look", .run = run_look};
const struct launcher_request other = {.name = "other", .run = run_look};

static const struct launcher_service services[] = {
	{&echo, NULL}, {&refuse, &refusal}, {&hold, stubborn}, {&leave, seven}, {&look, NULL},
};
struct launcher_config config = {.service = services, .services = ARRAY_SIZE(services)};
