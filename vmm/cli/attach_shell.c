/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_shell.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/cli/attach_encode.h"
#include "vmm/cli/fields.h"
#include "vmm/control/client.h"

#define WATCH_ID 1

/* --- messages --------------------------------------------------------------------------------- */

static void take_event(struct shell *shell, const json_t *body)
{
	const char *event = text_in(body, "event");
	uint64_t id = (uint64_t)json_integer_value(json_object_get(body, "id"));

	if (strcmp(event, "ended") == 0 && id == shell->id) {
		shell->ended = true;
		shell->status = (int)json_integer_value(json_object_get(body, "status"));
		if (text_in(body, "message")[0])
			log_error("%s", text_in(body, "message"));
	} else if (event[0] && id == WATCH_ID) {
		shell->ops->event(shell->arg, body);
	}
}

int shell_receive(struct shell *shell, struct err *err)
{
	struct message message;
	int ret = client_receive(shell->socket_fd, &message, err);

	if (ret < 0)
		return ret;
	take_event(shell, message.body);
	message_clear(&message);
	return 0;
}

/* Sends a request and waits for its reply; events that come first are handled. */
static int request(struct shell *shell, json_t *body, const int *fd, unsigned fds,
		   struct message *reply, struct err *err)
{
	uint64_t id = ++shell->last_id;
	int ret;

	if (body)
		json_object_set_new(body, "id", json_integer((json_int_t)id));
	ret = client_send(shell->socket_fd, body, fd, fds, err);
	while (ret == 0) {
		ret = client_receive(shell->socket_fd, reply, err);
		if (ret < 0)
			break;
		if (!json_object_get(reply->body, "event") &&
		    (uint64_t)json_integer_value(json_object_get(reply->body, "id")) == id) {
			if (json_is_true(json_object_get(reply->body, "ok")))
				return 0;
			ret = err_set(err, EREMOTE, "%s", text_in(reply->body, "error"));
		} else {
			take_event(shell, reply->body);
		}
		message_clear(reply);
	}
	return ret;
}

int shell_connect(struct shell *shell, const char *name, const struct shell_ops *ops, void *arg,
		  struct err *err)
{
	struct message reply;
	const json_t *list;
	size_t i;
	int ret;

	*shell = (struct shell){
		.name = name,
		.ops = ops,
		.arg = arg,
		.stream_fd = -1,
		.last_id = WATCH_ID - 1,
	};
	ret = shell->socket_fd = client_connect(name, 0, err);
	if (ret < 0)
		return ret;
	ret = request(shell, json_pack("{s:s,s:b}", "op", "questions", "watch", 1), NULL, 0, &reply,
		      err);
	if (ret < 0)
		return ret;
	list = json_object_get(reply.body, "questions");
	for (i = 0; i < json_array_size(list); i++)
		ops->event(arg, json_array_get(list, i));
	message_clear(&reply);
	return 0;
}

/* --- the session ------------------------------------------------------------------------------ */

/* The stream of the terminal: *theirs goes with the request. */
static int open_stream(struct shell *shell, int *theirs, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	shell->stream_fd = pair[0];
	*theirs = pair[1];
	shell->out_at = shell->out_end = 0;
	shell->ended = false;
	return 0;
}

static int attach_to(struct shell *shell, unsigned number, uint16_t rows, uint16_t columns,
		     struct err *err)
{
	struct message reply;
	int theirs, ret = open_stream(shell, &theirs, err);

	if (ret < 0)
		return ret;
	ret = request(shell,
		      json_pack("{s:s,s:i,s:i,s:i}", "op", "attach", "session", (int)number, "rows",
				(int)rows, "columns", (int)columns),
		      &theirs, 1, &reply, err);
	fd_close(&theirs);
	if (ret < 0) {
		fd_close(&shell->stream_fd);
		return ret;
	}
	shell->id = shell->last_id;
	shell->number = (unsigned)json_integer_value(json_object_get(reply.body, "session"));
	shell->kept = (size_t)json_integer_value(json_object_get(reply.body, "kept"));
	marks_init(&shell->marks, text_in(reply.body, "note"), &shell->ops->marks, shell->arg);
	message_clear(&reply);
	return 1;
}

/* Whether there is a session without a client: 1, 0, or -errno with a message. */
static int has_detached(struct shell *shell, struct err *err)
{
	const json_t *jobs, *job;
	struct message reply;
	int ret = request(shell, json_pack("{s:s}", "op", "info"), NULL, 0, &reply, err);
	size_t i;

	if (ret < 0)
		return ret;
	jobs = json_object_get(reply.body, "jobs");
	for (i = 0; i < json_array_size(jobs); i++) {
		job = json_array_get(jobs, i);
		ret |= json_is_true(json_object_get(job, "session")) &&
		       json_is_false(json_object_get(job, "attached"));
	}
	message_clear(&reply);
	return ret;
}

int shell_attach(struct shell *shell, unsigned number, uint16_t rows, uint16_t columns,
		 struct err *err)
{
	int ret;

	if (number)
		return attach_to(shell, number, rows, columns, err);
	ret = has_detached(shell, err);
	if (ret <= 0)
		return ret;
	ret = attach_to(shell, 0, rows, columns, err);
	/* Another operator was faster. */
	return ret == -EREMOTE ? 0 : ret;
}

/* TERM as here; text in UTF-8 if it is so here. */
static json_t *environment(char *const *marks)
{
	const char *terminal = getenv("TERM");
	json_t *env = json_array();

	for (; env && *marks; marks++)
		json_array_append_new(env, json_string(*marks));
	if (terminal)
		json_array_append_new(env, json_sprintf("TERM=%s", terminal));
	if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
		json_array_append_new(env, json_string("LANG=C.UTF-8"));
	return env;
}

static json_t *start_request(const char *token, uint16_t rows, uint16_t columns)
{
	char *env[ENCODE_ENV_MAX + 1] = {NULL};
	json_t *body = NULL, *argv = json_array();
	const char *const *word;
	int i;

	for (word = encode_shell; argv && *word; word++)
		json_array_append_new(argv, json_string(*word));
	if (encode_env(token, env) == 0)
		body = json_pack("{s:s,s:o,s:o,s:s,s:i,s:i}", "op", "shell", "argv", argv, "env",
				 environment(env), "note", token, "rows", (int)rows, "columns",
				 (int)columns);
	else
		json_decref(argv);
	for (i = 0; env[i]; i++)
		free(env[i]);
	return body;
}

int shell_start(struct shell *shell, uint16_t rows, uint16_t columns, struct err *err)
{
	char token[MARKS_TOKEN + 1];
	struct message reply;
	int theirs, ret;

	if (marks_make_token(token) < 0)
		return err_set(err, EIO, "no random numbers");
	ret = open_stream(shell, &theirs, err);
	if (ret < 0)
		return ret;
	ret = request(shell, start_request(token, rows, columns), &theirs, 1, &reply, err);
	fd_close(&theirs);
	if (ret < 0) {
		fd_close(&shell->stream_fd);
		return ret;
	}
	shell->id = shell->last_id;
	shell->kept = 0;
	shell->number = (unsigned)json_integer_value(json_object_get(reply.body, "session"));
	message_clear(&reply);
	marks_init(&shell->marks, token, &shell->ops->marks, shell->arg);
	shell_send(shell, encode_setup, strlen(encode_setup));
	return 0;
}

void shell_detach(struct shell *shell)
{
	struct message reply;
	struct err err;

	if (shell->stream_fd < 0)
		return;
	if (request(shell, json_pack("{s:s,s:I}", "op", "detach", "exec", (json_int_t)shell->id),
		    NULL, 0, &reply, &err) == 0)
		message_clear(&reply);
	fd_close(&shell->stream_fd);
}

void shell_close(struct shell *shell)
{
	fd_close(&shell->stream_fd);
	fd_close(&shell->socket_fd);
	free(shell->out);
	shell->out = NULL;
}

bool shell_has_input(const struct shell *shell)
{
	return shell->out_at < shell->out_end;
}

void shell_flush(struct shell *shell)
{
	ssize_t n = send(shell->stream_fd, shell->out + shell->out_at,
			 shell->out_end - shell->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		shell->out_at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		shell->out_at = shell->out_end; /* the shell has ended, and says so */
	if (shell->out_at == shell->out_end)
		shell->out_at = shell->out_end = 0;
}

void shell_send(struct shell *shell, const char *bytes, size_t length)
{
	char *more;

	if (shell->stream_fd < 0 || length == 0)
		return;
	if (shell->out_end + length > shell->out_size) {
		more = realloc(shell->out, 2 * (shell->out_end + length));
		if (!more)
			return;
		shell->out = more;
		shell->out_size = 2 * (shell->out_end + length);
	}
	memcpy(shell->out + shell->out_end, bytes, length);
	shell->out_end += length;
	shell_flush(shell);
}

void shell_resize(struct shell *shell, uint16_t rows, uint16_t columns)
{
	struct err err;

	client_send(shell->socket_fd,
		    json_pack("{s:s,s:I,s:i,s:i}", "op", "resize", "exec", (json_int_t)shell->id,
			      "rows", (int)rows, "columns", (int)columns),
		    NULL, 0, &err);
}

void shell_read(struct shell *shell)
{
	char bytes[16384];
	size_t size = shell->kept && shell->kept < sizeof(bytes) ? shell->kept : sizeof(bytes);
	ssize_t n = read(shell->stream_fd, bytes, size);

	if (n > 0) {
		marks_feed(&shell->marks, bytes, (size_t)n);
		shell->kept -= shell->kept ? (size_t)n : 0;
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		marks_end(&shell->marks);
		fd_close(&shell->stream_fd);
	}
}
