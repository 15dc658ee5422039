/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/spawn.h"
#include "vmm/sandbox/approval_json.h"
#include "vmm/sandbox/proposals.h"

#define ARGUMENTS_MAX	5u
#define ARGUMENTS_BYTES (POLICY_REQUEST_TEXT + APPROVAL_RULE + 64)
_Static_assert(ARGUMENTS_BYTES <= LAUNCHER_BYTES, "the arguments fit into a request");

struct approval_command {
	struct loop *loop;
	struct launcher *launcher;
	struct launcher_call call; /* lasts as long as the command */
	struct loop_source output; /* the pipe of its stdout */
	uint32_t number;
	bool proposal;	 /* the question is one */
	bool has_status; /* of its end */
	int status;	 /* as from waitpid(2) */
	approval_command_done *done;
	void *arg;
	size_t length;
	char answer[APPROVAL_ANSWER_MAX + 1]; /* one byte more: it is too long */
};

/* --- its end ---------------------------------------------------------------------------------- */

void approval_command_end(struct approval_command *command)
{
	if (!command)
		return;
	loop_remove(command->loop, &command->output);
	launcher_cancel(command->launcher, &command->call);
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
	bool failed = (!command->has_status || command->status != 0) && !is_full(command);

	loop_remove(command->loop, &command->output);
	launcher_cancel(command->launcher, &command->call);
	while (read_output(command) > 0)
		;
	if (failed)
		command->length = 0;
	if (command->proposal)
		approval_answer_to_proposal(&answer, command->answer, command->length);
	else
		approval_answer_read(&answer, command->answer, command->length);
	if (failed)
		answer.why = command->has_status ? end_of(command->status)
						 : "the command of --on-ask can't be run";
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

static void take_status(void *arg, struct launcher_message *message)
{
	struct approval_command *command = arg;

	if (message->length != sizeof(command->status))
		return;
	memcpy(&command->status, message->bytes, sizeof(command->status));
	command->has_status = true;
}

static void has_ended(void *arg, int result)
{
	(void)result;
	finish(arg);
}

/* --- in the launcher -------------------------------------------------------------------------- */

/* posix_spawn() takes char *, but does not write to the strings. */
static char *word_of(const char *text)
{
	return (char *)(uintptr_t)text;
}

/*
 * The request's bytes are the deprecated arguments, each of which ends with NUL; its descriptors
 * become the standard streams. state: the command, or NULL.
 */
static int start_command(struct launcher_task *task, void *state, struct launcher_message *message)
{
	char *argv[4 + ARGUMENTS_MAX + 1] = {word_of("sh"), word_of("-c"), NULL, word_of("cordon")},
				       *script = NULL;
	const char *at = message->bytes, *end = at + message->length;
	unsigned count = 4;
	pid_t pid;
	int ret;

	if (!state)
		return -ENOENT;
	if (message->length > 0 && end[-1] != '\0')
		return -EINVAL;
	for (; at < end; at += strlen(at) + 1) {
		if (count == 4 + ARGUMENTS_MAX)
			return -E2BIG;
		argv[count++] = word_of(at);
	}
	if (asprintf(&script, "%s \"$@\"", (const char *)state) < 0)
		return -ENOMEM;
	argv[2] = script;
	ret = spawn_program(&pid, SPAWN_USER, "/bin/sh", argv, message->fd, message->fds);
	free(script);
	if (ret == 0)
		launcher_child(task, pid);
	return ret;
}

const struct launcher_request approval_command_request = {
	.name = "on-ask",
	.most = ARGUMENTS_BYTES,
	.fds = 3,
	.run = start_command,
};

/* --- its start -------------------------------------------------------------------------------- */

/* What the command gets to know of a question by its deprecated arguments. */
struct arguments {
	char bytes[ARGUMENTS_BYTES];
	size_t length;
};

static void add(struct arguments *arguments, const char *text)
{
	size_t size = strlen(text) + 1;

	if (size > sizeof(arguments->bytes) - arguments->length)
		return;
	memcpy(arguments->bytes + arguments->length, text, size);
	arguments->length += size;
}

static void describe(struct arguments *arguments, const struct approval *question)
{
	const struct policy_request *request = &question->request;
	const struct policy_net *net = &request->net;
	char object[POLICY_REQUEST_TEXT], port[8], address[INET6_ADDRSTRLEN];

	if (request->class == POLICY_NET) {
		inet_ntop((int)net->family, net->address, address, sizeof(address));
		snprintf(port, sizeof(port), "%u", net->port);
		add(arguments, policy_protocol_name(net->protocol));
		add(arguments, net->host ? "host" : net->name ? net->name : "-");
		add(arguments, address);
		add(arguments, port);
	} else {
		policy_request_text(request, object);
		add(arguments, policy_class_name(request->class));
		add(arguments, policy_op_name(request->op));
		add(arguments, object);
	}
	add(arguments, question->rule);
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
static int run(struct approval_command *command, const json_t *body,
	       const struct approval *question)
{
	struct arguments arguments;
	struct launcher_message message = {
		.bytes = arguments.bytes, .fd = {question_file(body), -1, STDERR_FILENO}, .fds = 3};
	int pipe_fd[2] = {-1, -1}, ret = message.fd[0] < 0 ? message.fd[0] : 0;

	arguments.length = 0;
	if (ret == 0 && pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0)
		ret = -errno;
	if (ret == 0) {
		if (question)
			describe(&arguments, question);
		/* Programs expect a pipe that blocks. */
		fcntl(pipe_fd[1], F_SETFL, 0);
		message.fd[1] = pipe_fd[1];
		message.length = arguments.length;
		ret = launcher_call(command->launcher, &command->call, &approval_command_request,
				    &message);
	}
	fd_close(&message.fd[0]);
	fd_close(&pipe_fd[1]);
	if (ret < 0)
		fd_close(&pipe_fd[0]);
	return ret < 0 ? ret : pipe_fd[0];
}

/* body: the question, whose reference is taken. question: NULL of a proposal. */
static int start(struct approval_command **out, struct loop *loop, struct launcher *launcher,
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
	made->launcher = launcher;
	made->number = number;
	made->proposal = !question;
	made->done = done;
	made->arg = arg;
	made->call = (struct launcher_call){.part = take_status, .done = has_ended, .arg = made};
	made->output = (struct loop_source){.ready = has_output, .arg = made};
	ret = run(made, body, question);
	json_decref(body);
	made->output.fd = ret;
	if (ret >= 0)
		ret = loop_add(loop, &made->output, EPOLLIN);
	if (ret < 0) {
		approval_command_end(made);
		return ret;
	}
	*out = made;
	return 0;
}

int approval_command_start(struct approval_command **out, struct loop *loop,
			   struct launcher *launcher, const struct approval *question,
			   approval_command_done *done, void *arg)
{
	return start(out, loop, launcher, question->number, approval_json(question), question, done,
		     arg);
}

int approval_command_propose(struct approval_command **out, struct loop *loop,
			     struct launcher *launcher, const struct proposal *proposal,
			     approval_command_done *done, void *arg)
{
	return start(out, loop, launcher, proposal->number, proposal_json(proposal), NULL, done,
		     arg);
}
