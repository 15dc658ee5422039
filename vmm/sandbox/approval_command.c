/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/spawn.h"
#include "vmm/sandbox/approvals.h"

#define WORD_MAX 32

struct approval_command {
	struct loop *loop;
	pid_t pid; /* 0: none, or already reaped */
	int output_fd;
	struct loop_source ended; /* of its pidfd */
	uint32_t number;
	approval_command_done *done;
	void *arg;
};

/* SIGKILL ends it at once, along with the processes that it has started. */
static void reap(struct approval_command *command, int *status)
{
	if (command->pid <= 0)
		return;
	kill(-command->pid, SIGKILL);
	kill(command->pid, SIGKILL);
	while (waitpid(command->pid, status, 0) < 0 && errno == EINTR)
		;
	command->pid = 0;
}

void approval_command_end(struct approval_command *command)
{
	int status;

	if (!command)
		return;
	loop_remove(command->loop, &command->ended);
	reap(command, &status);
	fd_close(&command->ended.fd);
	fd_close(&command->output_fd);
	free(command);
}

static void has_ended(void *arg, uint32_t events)
{
	struct approval_command *command = arg;
	char word[WORD_MAX] = "";
	int status = -1;
	ssize_t n;

	(void)events;
	loop_remove(command->loop, &command->ended);
	reap(command, &status);
	n = read(command->output_fd, word, sizeof(word) - 1);
	word[n > 0 && status == 0 ? n : 0] = '\0';
	word[strcspn(word, " \t\r\n")] = '\0';
	/* done() may free the command. */
	command->done(command->arg, command->number, word);
}

/* posix_spawn() takes char *, but does not write to the strings. */
static char *word_of(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* What the command gets to know of a question, each at most as long as an object. */
struct arguments {
	char *argv[10];
	char object[POLICY_REQUEST_TEXT], port[8], address[INET6_ADDRSTRLEN];
};

static void set_arguments(struct arguments *arguments, char *script,
			  const struct approval *question)
{
	const struct policy_request *request = &question->request;
	const struct policy_net *net = &request->net;
	char **to = arguments->argv;

	*to++ = word_of("sh");
	*to++ = word_of("-c");
	*to++ = script;
	*to++ = word_of("cordon");
	if (request->class == POLICY_NET) {
		inet_ntop((int)net->family, net->address, arguments->address,
			  sizeof(arguments->address));
		snprintf(arguments->port, sizeof(arguments->port), "%u", net->port);
		*to++ = word_of(policy_protocol_name(net->protocol));
		*to++ = word_of(net->host ? "host" : net->name ? net->name : "-");
		*to++ = arguments->address;
		*to++ = arguments->port;
	} else {
		policy_request_text(request, arguments->object);
		*to++ = word_of(policy_class_name(request->class));
		*to++ = word_of(policy_op_name(request->op));
		*to++ = arguments->object;
	}
	*to++ = word_of(question->rule);
	*to = NULL;
}

static int run(struct approval_command *command, const char *text, const struct approval *question)
{
	struct arguments arguments = {.address = ""};
	int pipe_fd[2] = {-1, -1}, ret;
	char *script = NULL;

	if (asprintf(&script, "%s \"$@\"", text) < 0)
		return -ENOMEM;
	set_arguments(&arguments, script, question);
	ret = pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
	if (ret == 0) {
		/* Programs expect a pipe that blocks. */
		fcntl(pipe_fd[1], F_SETFL, 0);
		ret = spawn_program(&command->pid, SPAWN_USER, "/bin/sh", arguments.argv,
				    (const int[]){-1, pipe_fd[1], STDERR_FILENO}, 3);
	}
	command->output_fd = pipe_fd[0];
	fd_close(&pipe_fd[1]);
	free(script);
	return ret;
}

int approval_command_start(struct approval_command **out, struct loop *loop, const char *command,
			   const struct approval *question, approval_command_done *done, void *arg)
{
	struct approval_command *made = calloc(1, sizeof(*made));
	int ret;

	*out = NULL;
	if (!made)
		return -ENOMEM;
	made->loop = loop;
	made->number = question->number;
	made->done = done;
	made->arg = arg;
	made->output_fd = -1;
	made->ended = (struct loop_source){.fd = -1, .ready = has_ended, .arg = made};
	ret = run(made, command, question);
	if (ret == 0) {
		made->ended.fd = (int)syscall(SYS_pidfd_open, made->pid, 0);
		ret = made->ended.fd < 0 ? -errno : loop_add(loop, &made->ended, EPOLLIN);
	}
	if (ret < 0) {
		approval_command_end(made);
		return ret;
	}
	*out = made;
	return 0;
}
