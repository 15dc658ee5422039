/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/shares_process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/base/spawn.h"
#include "vmm/sandbox/isolate.h"

/* --- in the launcher -------------------------------------------------------------------------- */

static int run(struct launcher_task *task, void *state, struct launcher_message *message)
{
	const struct shares_process *process = state;
	pid_t pid;
	int ret;

	/* It inherits the launcher's, which commands of --on-ask may share with it. */
	if (process->isolate)
		isolate_cores();
	ret = spawn_self(&pid, process->program, FILES_CLIENT_PROGRAM, message->fd, message->fds);
	if (ret == 0)
		launcher_child(task, pid);
	return ret;
}

const struct launcher_request shares_process_first = {
	.name = "file-server",
	.fds = 2,
	.run = run,
};

const struct launcher_request shares_process_next = {
	.name = "file-server-next",
	.fds = 3,
	.run = run,
};

/* --- in the monitor --------------------------------------------------------------------------- */

struct process {
	struct launcher *launcher;
	struct launcher_call call;
};

/* The server's socket is closed then, which its client notices. */
static void ended(void *arg, int result)
{
	(void)arg;
	if (result < 0)
		log_warning("the file server can't be started: %s", strerror(-result));
}

static int start(void *arg, const int *fd, unsigned count, void **out)
{
	struct launcher_message message = {.fds = count};
	struct process *process = calloc(1, sizeof(*process));
	int ret;

	if (!process)
		return -ENOMEM;
	process->launcher = arg;
	process->call = (struct launcher_call){.done = ended, .arg = process};
	memcpy(message.fd, fd, count * sizeof(*fd));
	ret = launcher_call(process->launcher, &process->call,
			    count == shares_process_first.fds ? &shares_process_first
							      : &shares_process_next,
			    &message);
	if (ret < 0)
		free(process);
	else
		*out = process;
	return ret;
}

static void end(void *arg)
{
	struct process *process = arg;

	launcher_cancel(process->launcher, &process->call);
	free(process);
}

struct files_client_starter shares_process_starter(struct launcher *launcher)
{
	return (struct files_client_starter){.start = start, .kill = end, .arg = launcher};
}
