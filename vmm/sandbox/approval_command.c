/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/spawn.h"
#include "vmm/sandbox/approval_json.h"
#include "vmm/sandbox/proposals.h"

struct approval_command {
	struct loop *loop;
	pid_t pid;		   /* 0: none, or already reaped */
	struct loop_source output; /* the pipe of its stdout */
	struct loop_source ended;  /* its pidfd */
	uint32_t number;
	bool proposal; /* the question is one */
	approval_command_done *done;
	void *arg;
	size_t length;
	char answer[APPROVAL_ANSWER_MAX + 1]; /* one byte more: it is too long */
};

/* --- its end ---------------------------------------------------------------------------------- */

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
	loop_remove(command->loop, &command->output);
	reap(command, &status);
	fd_close(&command->ended.fd);
	fd_close(&command->output.fd);
	free(command);
}

/* Once in the life of the process. */
static void warn_of_word(enum approval_reply reply)
{
	static bool warned;

	if (warned)
		return;
	warned = true;
	log_warning("--on-ask: a later version reads JSON only, and passes no arguments: read the "
		    "question on stdin and print {\"answer\":\"%s\"} instead of %s",
		    approval_reply_word(reply), approval_reply_word(reply));
}

/* Reads a part of the answer: its length, 0 at the end or if no room is left, or -errno. */
static ssize_t read_output(struct approval_command *command)
{
	ssize_t n;

	do {
		n = read(command->output.fd, command->answer + command->length,
			 sizeof(command->answer) - command->length);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		command->length += (size_t)n;
	return n < 0 ? -errno : n;
}

static bool is_full(const struct approval_command *command)
{
	return command->length == sizeof(command->answer);
}

/* A constant string: why a command that ended so decides nothing. */
static const char *end_of(int status)
{
	if (WIFSIGNALED(status))
		return APPROVAL_UNDECIDED ": a signal ended it";
	switch (WEXITSTATUS(status)) {
	case 126:
		return APPROVAL_UNDECIDED ": it could not be executed (status 126)";
	case 127:
		return APPROVAL_UNDECIDED ": it was not found (status 127)";
	default:
		return APPROVAL_UNDECIDED ": its exit status is not 0";
	}
}

static void finish(struct approval_command *command)
{
	struct approval_answer answer;
	int status = -1;

	loop_remove(command->loop, &command->ended);
	loop_remove(command->loop, &command->output);
	reap(command, &status);
	while (read_output(command) > 0)
		;
	if (status != 0 && !is_full(command))
		command->length = 0;
	if (command->proposal)
		approval_answer_to_proposal(&answer, command->answer, command->length);
	else
		approval_answer_read(&answer, command->answer, command->length);
	if (status != 0 && !is_full(command))
		answer.why = end_of(status);
	if (answer.is_word)
		warn_of_word((enum approval_reply)answer.reply);
	/* It may free the command. */
	command->done(command->arg, command->number, &answer);
}

static void has_output(void *arg, uint32_t events)
{
	struct approval_command *command = arg;
	ssize_t n = read_output(command);

	(void)events;
	if (is_full(command))
		finish(command);
	else if (n == 0 || (n < 0 && n != -EAGAIN))
		loop_remove(command->loop, &command->output);
}

static void has_ended(void *arg, uint32_t events)
{
	(void)events;
	finish(arg);
}

/* --- its start -------------------------------------------------------------------------------- */

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

static void describe(struct arguments *arguments, char **to, const struct approval *question)
{
	const struct policy_request *request = &question->request;
	const struct policy_net *net = &request->net;

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

/*
 * A file with the question, for stdin. With a pipe, the monitor would have to wait for a command
 * that reads slowly or not at all. A descriptor, or -errno.
 */
static int question_file(const json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int fd = text ? memfd_create("question", MFD_CLOEXEC) : -1, ret = 0;

	if (fd < 0)
		ret = text ? -errno : -ENOMEM;
	if (ret == 0)
		ret = fd_write_full(fd, text, strlen(text));
	if (ret == 0)
		ret = fd_write_full(fd, "\n", 1);
	if (ret == 0 && lseek(fd, 0, SEEK_SET) < 0)
		ret = -errno;
	free(text);
	if (ret == 0)
		return fd;
	fd_close(&fd);
	return ret;
}

/*
 * question: for the deprecated arguments, or NULL. Returns the end of the pipe to read the answer
 * from, or -errno.
 */
static int run(struct approval_command *command, const char *text, const json_t *body,
	       const struct approval *question)
{
	int input_fd = question_file(body), pipe_fd[2] = {-1, -1}, ret = 0;
	struct arguments arguments = {
		.argv = {word_of("sh"), word_of("-c"), NULL, word_of("cordon")}};
	char *script = NULL;

	if (input_fd < 0)
		return input_fd;
	if (asprintf(&script, "%s \"$@\"", text) < 0) {
		script = NULL;
		ret = -ENOMEM;
	}
	if (ret == 0 && pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0)
		ret = -errno;
	if (ret == 0) {
		arguments.argv[2] = script;
		if (question)
			describe(&arguments, arguments.argv + 4, question);
		/* Programs expect a pipe that blocks. */
		fcntl(pipe_fd[1], F_SETFL, 0);
		ret = spawn_program(&command->pid, SPAWN_USER, "/bin/sh", arguments.argv,
				    (const int[]){input_fd, pipe_fd[1], STDERR_FILENO}, 3);
	}
	fd_close(&input_fd);
	fd_close(&pipe_fd[1]);
	free(script);
	if (ret < 0)
		fd_close(&pipe_fd[0]);
	return ret < 0 ? ret : pipe_fd[0];
}

/* body: the question, whose reference is taken. question: NULL of a proposal. */
static int start(struct approval_command **out, struct loop *loop, const char *command,
		 uint32_t number, json_t *body, const struct approval *question,
		 approval_command_done *done, void *arg)
{
	struct approval_command *made = calloc(1, sizeof(*made));
	int ret;

	*out = NULL;
	if (!made || !body) {
		free(made);
		json_decref(body);
		return -ENOMEM;
	}
	made->loop = loop;
	made->number = number;
	made->proposal = !question;
	made->done = done;
	made->arg = arg;
	made->ended = (struct loop_source){.fd = -1, .ready = has_ended, .arg = made};
	made->output = (struct loop_source){.ready = has_output, .arg = made};
	ret = run(made, command, body, question);
	json_decref(body);
	made->output.fd = ret;
	if (ret >= 0) {
		made->ended.fd = (int)syscall(SYS_pidfd_open, made->pid, 0);
		ret = made->ended.fd < 0 ? -errno : loop_add(loop, &made->ended, EPOLLIN);
	}
	if (ret == 0)
		ret = loop_add(loop, &made->output, EPOLLIN);
	if (ret < 0) {
		approval_command_end(made);
		return ret;
	}
	*out = made;
	return 0;
}

int approval_command_start(struct approval_command **out, struct loop *loop, const char *command,
			   const struct approval *question, approval_command_done *done, void *arg)
{
	return start(out, loop, command, question->number, approval_json(question), question, done,
		     arg);
}

int approval_command_propose(struct approval_command **out, struct loop *loop, const char *command,
			     const struct proposal *proposal, approval_command_done *done,
			     void *arg)
{
	return start(out, loop, command, proposal->number, proposal_json(proposal), NULL, done,
		     arg);
}
