/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon exec: a command in a running sandbox. Its streams are passed to the monitor as
 * descriptors, except that a terminal is read here and forwarded through a pipe: the monitor is in
 * another session, and would also read input while this process is in the background.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/command_options.h"
#include "vmm/base/signals.h"
#include "vmm/cli/hint.h"
#include "vmm/cli/terminal.h"
#include "vmm/control/client.h"

#define EXEC_ID 1

/* After SIGTERM or SIGHUP was passed on, how long the command has to end; and then, killed. */
#define GRACE_NS UINT64_C(10000000000)
#define KILL_NS	 UINT64_C(2000000000)

/* How soon the terminal is read again after this process returns to the foreground. */
#define BACKGROUND_MS 300

struct exec_options {
	struct command_options command;
	bool detach;
	const char *name;
	char **argv;
};

struct exec {
	const struct exec_options *options;
	struct terminal terminal;
	int socket_fd, signal_fd;
	int typed_fd[2]; /* the pipe that takes what is typed, or -1 */
	char typed[4096];
	size_t typed_at, typed_end; /* what the pipe has not taken yet */
	int ending;		    /* the signal that is to end the command, or 0 */
	bool killed;
	uint64_t deadline_ns; /* for its end, or for that of the killed command */
};

static const struct option_entry entries[] = {
	{"detach", 'd', OPTION_FLAG, NULL,
	 "leave the command running, and print its number; its output is kept",
	 "The first 1 MiB each of its standard output and error is kept, while it runs and for "
	 "the last 32 such commands that have ended; cordon-logs(1) shows it.",
	 .offset = offsetof(struct exec_options, detach)},
};

static const struct option_table table = {"Detached commands", entries, ARRAY_SIZE(entries)};

static int parse(struct exec_options *options, int argc, char **argv, struct err *err)
{
	const struct option_set sets[] = {
		{&command_option_table, &options->command},
		{&table, options},
	};
	int at = options_parse_name(sets, ARRAY_SIZE(sets), argc, argv, &options->name, err);

	if (at < 0)
		return at;
	if (!options->name)
		return verb_usage_error(&verb_exec, NULL, "in which sandbox?", err);
	if (at >= argc)
		return verb_usage_error(&verb_exec, NULL, "which command?", err);
	options->argv = argv + at;
	return command_options_check(argv[0], &options->command, err);
}

static json_t *make_request(const struct exec *exec, struct err *err)
{
	const struct command_options *command = &exec->options->command;
	json_t *request = request_exec("exec", command, exec->options->argv, err);
	uint16_t rows, columns;

	terminal_size(&exec->terminal, &rows, &columns);
	if (request)
		json_object_update_new(request,
				       json_pack("{s:i,s:b,s:i,s:i,s:b}", "id", EXEC_ID, "tty",
						 command->terminal, "rows", (int)rows, "columns",
						 (int)columns, "detach", exec->options->detach));
	return request;
}

static int send_request(struct exec *exec, struct err *err)
{
	int streams[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	unsigned count = exec->options->detach ? 0 : ARRAY_SIZE(streams);
	json_t *request = make_request(exec, err);
	int ret;

	if (!request)
		return -EINVAL;
	if (count > 0 && isatty(STDIN_FILENO)) {
		if (pipe2(exec->typed_fd, O_CLOEXEC) < 0) {
			json_decref(request);
			return err_sys(err, "pipe");
		}
		streams[0] = exec->typed_fd[0];
	}
	ret = client_send(exec->socket_fd, request, streams, count, err);
	fd_close(&exec->typed_fd[0]);
	if (ret == 0 && exec->typed_fd[1] >= 0)
		fcntl(exec->typed_fd[1], F_SETFL, O_NONBLOCK);
	return ret;
}

/* --- what is typed ---------------------------------------------------------------------------- */

/* What to poll: the terminal while in the foreground, or the pipe until it has room. */
static int watch_typed(const struct exec *exec, struct pollfd *wait)
{
	*wait = (struct pollfd){.fd = -1};
	if (exec->typed_fd[1] < 0)
		return -1;
	if (exec->typed_at < exec->typed_end) {
		*wait = (struct pollfd){.fd = exec->typed_fd[1], .events = POLLOUT};
		return -1;
	}
	if (tcgetpgrp(STDIN_FILENO) != getpgrp())
		return BACKGROUND_MS;
	*wait = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	return -1;
}

static void pass_typed(struct exec *exec)
{
	ssize_t n;

	if (exec->typed_at == exec->typed_end) {
		n = read(STDIN_FILENO, exec->typed, sizeof(exec->typed));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (n <= 0) {
			fd_close(&exec->typed_fd[1]);
			return;
		}
		exec->typed_at = 0;
		exec->typed_end = (size_t)n;
	}
	n = write(exec->typed_fd[1], exec->typed + exec->typed_at,
		  exec->typed_end - exec->typed_at);
	if (n > 0)
		exec->typed_at += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		fd_close(&exec->typed_fd[1]); /* the command reads no more */
}

/* --- signals ---------------------------------------------------------------------------------- */

static int watch_signals(struct exec *exec)
{
	exec->signal_fd = signals_take(SIGNALS_OF_COMMAND, SFD_CLOEXEC);
	return exec->signal_fd < 0 ? exec->signal_fd : 0;
}

static int send_signal(struct exec *exec, int number, struct err *err)
{
	return client_send(
		exec->socket_fd,
		json_pack("{s:s,s:i,s:i}", "op", "signal", "exec", EXEC_ID, "signal", number), NULL,
		0, err);
}

static int pass_signal(struct exec *exec, struct err *err)
{
	struct signalfd_siginfo info;
	uint16_t rows, columns;
	int number;

	if (read(exec->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	number = (int)info.ssi_signo;
	if (number != SIGWINCH) {
		/* Once: the sender of a second signal does not want to wait longer. */
		if ((number == SIGTERM || number == SIGHUP) && !exec->ending) {
			exec->ending = number;
			exec->deadline_ns = loop_now_ns() + GRACE_NS;
		}
		return send_signal(exec, number, err);
	}
	if (!terminal_size(&exec->terminal, &rows, &columns))
		return 0;
	return client_send(exec->socket_fd,
			   json_pack("{s:s,s:i,s:i,s:i}", "op", "resize", "exec", EXEC_ID, "rows",
				     (int)rows, "columns", (int)columns),
			   NULL, 0, err);
}

/* Milliseconds until the deadline, or -1: there is none. */
static int grace_left(const struct exec *exec)
{
	uint64_t now = loop_now_ns();

	if (!exec->ending)
		return -1;
	return now < exec->deadline_ns ? (int)((exec->deadline_ns - now) / 1000000) + 1 : 0;
}

/* The command did not end in time: kills it, and later gives up. True when it is over. */
static bool escalate(struct exec *exec, int *status)
{
	struct err err;

	if (!exec->ending || loop_now_ns() < exec->deadline_ns)
		return false;
	if (!exec->killed && send_signal(exec, SIGKILL, &err) == 0) {
		exec->killed = true;
		exec->deadline_ns = loop_now_ns() + KILL_NS;
		return false;
	}
	terminal_leave(&exec->terminal);
	log_error("%s: the command did not end", exec->options->name);
	*status = EXIT_SIGNAL_BASE + exec->ending;
	return true;
}

/* One message of the monitor. Returns true with *status when the command is over. */
static bool take_message(const struct exec *exec, const json_t *body, int *status)
{
	const char *event = json_string_value(json_object_get(body, "event"));
	const char *text = json_string_value(json_object_get(body, "message"));

	if (event && event[0] == 's')
		return false; /* started */
	if (event) {
		*status = (int)json_integer_value(json_object_get(body, "status"));
		if (text)
			log_error("%s%s", text,
				  hint_not_found(
					  exec->options->argv[0], *status,
					  json_is_true(json_object_get(body, "builtin_root"))));
		return true;
	}
	if (json_is_true(json_object_get(body, "ok"))) {
		printf("%d\n", (int)json_integer_value(json_object_get(body, "job")));
		*status = 0;
		return true;
	}
	text = json_string_value(json_object_get(body, "error"));
	log_error("%s", text ? text : "refused");
	*status = EXIT_CORDON;
	return true;
}

static int follow(struct exec *exec, int *status, struct err *err)
{
	struct pollfd fds[3] = {
		{.fd = exec->socket_fd, .events = POLLIN},
		{.fd = exec->signal_fd, .events = POLLIN},
	};
	struct message message;
	bool over = false;
	int ret = 0, timeout, left;

	while (!over && ret == 0) {
		timeout = watch_typed(exec, &fds[2]);
		left = grace_left(exec);
		if (left >= 0 && (timeout < 0 || left < timeout))
			timeout = left;
		if (poll(fds, ARRAY_SIZE(fds), timeout) < 0) {
			if (errno != EINTR)
				return err_sys(err, "poll");
			continue;
		}
		if (fds[1].revents)
			ret = pass_signal(exec, err);
		if (ret == 0 && fds[2].revents)
			pass_typed(exec);
		if (ret == 0)
			over = escalate(exec, status);
		if (ret < 0 || over || !fds[0].revents)
			continue;
		ret = client_receive(exec->socket_fd, &message, err);
		if (ret < 0)
			break;
		over = take_message(exec, message.body, status);
		message_clear(&message);
	}
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct exec_options options;
	struct exec exec = {
		.options = &options,
		.socket_fd = -1,
		.signal_fd = -1,
		.typed_fd = {-1, -1},
	};
	int ret, status = EXIT_CORDON;

	ret = parse(&options, argc, argv, err);
	if (ret == 0)
		ret = command_options_stdin(&options.command, err);
	if (ret == 0) {
		ret = client_connect(options.name, 0, err);
		exec.socket_fd = ret;
	}
	if (ret >= 0) {
		ret = watch_signals(&exec);
		if (ret < 0)
			err_code(err, -ret, "signals");
	}
	if (ret >= 0) {
		if (options.command.terminal)
			terminal_enter(&exec.terminal, STDIN_FILENO, STDOUT_FILENO);
		ret = send_request(&exec, err);
	}
	if (ret >= 0)
		ret = follow(&exec, &status, err);
	terminal_leave(&exec.terminal);
	fd_close(&exec.typed_fd[0]);
	fd_close(&exec.typed_fd[1]);
	fd_close(&exec.signal_fd);
	fd_close(&exec.socket_fd);
	return ret < 0 ? ret : status;
}

static const struct option_table *const tables[] = {&command_option_table, &table, NULL};

const struct verb verb_exec = {
	.name = "exec",
	.group = VERB_SANDBOXES,
	.usage = "[options] NAME -- CMD ARGS",
	.summary = "run a command in a running sandbox",
	.description =
		"Runs CMD in the sandbox NAME; several commands can run at once. Standard input, "
		"output and error, signals and exit status are as with `cordon run`. Options may "
		"stand before and after NAME.",
	.options = tables,
	.notes = "Arguments and environment may have 128 KiB together, and must be UTF-8.",
	.examples = "  cordon exec -w \"$PWD\" box -- make test\n"
		    "  cordon exec -t box -- sh",
	.exit_status = "As with `cordon run`: the command's own; see `cordon help run`.",
	.see_also = "run start logs",
	.run = run,
};
