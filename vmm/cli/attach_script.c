/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/control/client.h"

#define EXEC_ID 1

/*
 * Reads lines and evaluates each command when it is whole, then prints a mark to both outputs. A
 * command is whole if it can stand in a function. If it can't, it is wrong or not whole: the shell
 * is asked to parse it, and complains of the end of file if it is not whole.
 */
static const char reader[] =
	"exec 8>&1 9>&2\n"
	"__cordon_t= __cordon_s=0\n"
	"__cordon_r() { return $1; }\n"
	"if [ \"${BASH_VERSION-}\" ]; then shopt -s expand_aliases; fi\n"
	"while IFS= read -r __cordon_l; do\n"
	"  __cordon_t=$__cordon_t$__cordon_l'\n'\n"
	"  if ! command eval \"__cordon_f() { :\n$__cordon_t}\" 2>/dev/null; then\n"
	"    __cordon_e=$(printf %s \"$__cordon_t\" | LC_ALL=C sh -n 2>&1) ||\n"
	"      case $__cordon_e in\n"
	"      *'end of file'* | *EOF* | *nterminated*) ;;\n"
	"      *) __cordon_e=wrong ;;\n"
	"      esac\n"
	"    if [ \"$__cordon_e\" != wrong ]; then\n"
	"      printf '\\033]133;P;%s;\\007' \"$1\" >&8\n"
	"      continue\n"
	"    fi\n"
	"  fi\n"
	"  command eval \"__cordon_r $__cordon_s\n$__cordon_t\" </dev/null 8>&- 9>&-\n"
	"  __cordon_s=$? __cordon_t=\n"
	"  printf '\\033]133;D;%s;%d;0;\\007' \"$1\" $__cordon_s >&8\n"
	"  printf '\\033]133;D;%s;%d;0;\\007' \"$1\" $__cordon_s >&9\n"
	"done\n"
	"[ -z \"$__cordon_t\" ] || command eval \"$__cordon_t\" </dev/null || __cordon_s=$?\n"
	"exit $__cordon_s\n";

/* --- output ----------------------------------------------------------------------------------- */

static void write_text(void *arg, const char *bytes, size_t length)
{
	const struct script_stream *stream = arg;

	/* If the reader is gone, the lines still run, as they would in a shell. */
	fd_write_full(stream->to_fd, bytes, length);
}

static void take_mark(void *arg, enum mark mark, const struct marks_prompt *prompt)
{
	struct script_stream *stream = arg;

	if (mark == MARK_PROMPT) {
		stream->marked = true;
		stream->script->status = prompt->status;
	} else if (mark == MARK_MORE) {
		stream->script->more = true;
	}
}

static const struct marks_ops marks_ops = {write_text, take_mark};

static void read_stream(struct script_stream *stream)
{
	char bytes[4096];
	ssize_t n = read(stream->from_fd, bytes, sizeof(bytes));

	if (n > 0) {
		marks_feed(&stream->marks, bytes, (size_t)n);
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		marks_end(&stream->marks);
		fd_close(&stream->from_fd);
	}
}

/* --- the shell -------------------------------------------------------------------------------- */

static json_t *make_request(const char *token)
{
	return json_pack("{s:i,s:s,s:[s,s,s,s,s],s:[]}", "id", EXEC_ID, "op", "exec", "argv", "sh",
			 "-c", reader, "cordon", token, "env");
}

void script_init(struct script *script, const char *name)
{
	*script = (struct script){.name = name, .socket_fd = -1, .line_fd = -1};
	script->stream[0] =
		(struct script_stream){.script = script, .from_fd = -1, .to_fd = STDOUT_FILENO};
	script->stream[1] =
		(struct script_stream){.script = script, .from_fd = -1, .to_fd = STDERR_FILENO};
}

static int start(struct script *script, struct err *err)
{
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, theirs[3], i, ret = 0;
	char token[MARKS_TOKEN + 1];

	for (i = 0; i < 3 && ret == 0; i++)
		ret = pipe2(pipes[i], O_CLOEXEC) < 0 ? err_sys(err, "pipe") : 0;
	if (ret == 0 && marks_make_token(token) < 0)
		ret = err_set(err, EIO, "no random numbers");
	if (ret == 0)
		ret = client_connect(script->name, 0, err);
	if (ret >= 0) {
		script->socket_fd = ret;
		theirs[0] = pipes[0][0];
		theirs[1] = pipes[1][1];
		theirs[2] = pipes[2][1];
		ret = client_send(script->socket_fd, make_request(token), theirs, 3, err);
	}
	fd_close(&pipes[0][0]);
	fd_close(&pipes[1][1]);
	fd_close(&pipes[2][1]);
	script->line_fd = pipes[0][1];
	if (script->line_fd >= 0)
		fd_set_nonblock(script->line_fd);
	for (i = 0; i < 2; i++) {
		script->stream[i].from_fd = pipes[i + 1][0];
		if (ret == 0)
			marks_init(&script->stream[i].marks, token, &marks_ops, &script->stream[i]);
	}
	script->started = ret == 0;
	return ret;
}

/* A message of the monitor. 0, or -errno with a message if the shell could not start. */
static int take_message(struct script *script, struct err *err)
{
	struct message message;
	const char *event, *text;
	int ret = client_receive(script->socket_fd, &message, err);

	if (ret < 0)
		return ret;
	event = json_string_value(json_object_get(message.body, "event"));
	text = json_string_value(json_object_get(message.body, "message"));
	if (!event) {
		text = json_string_value(json_object_get(message.body, "error"));
		ret = err_set(err, EREMOTE, "%s", text ? text : "refused");
	} else if (strcmp(event, "ended") == 0) {
		script->ended = true;
		script->status = (int)json_integer_value(json_object_get(message.body, "status"));
		if (text)
			log_error("%s", text);
	}
	message_clear(&message);
	return ret;
}

static bool is_done(const struct script *script)
{
	const struct script_stream *stream = script->stream;

	if (script->ended)
		return stream[0].from_fd < 0 && stream[1].from_fd < 0;
	return script->more || (stream[0].marked && stream[1].marked);
}

/* Sends bytes and passes on output, until the line is done or the shell has ended. */
static int pass(struct script *script, const char *bytes, size_t length, struct err *err)
{
	struct script_stream *stream = script->stream;
	int ret = 0, i;
	ssize_t n;

	while (ret == 0 && !is_done(script)) {
		struct pollfd ready[] = {
			{.fd = stream[0].from_fd, .events = POLLIN},
			{.fd = stream[1].from_fd, .events = POLLIN},
			{.fd = script->ended ? -1 : script->socket_fd, .events = POLLIN},
			{.fd = length > 0 ? script->line_fd : -1, .events = POLLOUT},
		};

		if (poll(ready, ARRAY_SIZE(ready), -1) < 0)
			continue;
		for (i = 0; i < 2; i++)
			if (ready[i].revents)
				read_stream(&stream[i]);
		if (ready[2].revents)
			ret = take_message(script, err);
		if (!ready[3].revents)
			continue;
		n = write(script->line_fd, bytes, length);
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
		} else if (errno != EINTR && errno != EAGAIN) {
			length = 0; /* the shell reads no more: its end follows */
		}
	}
	return ret;
}

static void clear_marks(struct script *script)
{
	script->more = script->stream[0].marked = script->stream[1].marked = false;
}

int script_run(struct script *script, const char *line, struct err *err)
{
	char *text;
	int length, ret = script->started ? 0 : start(script, err);

	if (ret < 0)
		return ret;
	clear_marks(script);
	length = asprintf(&text, "%s\n", line);
	if (length < 0)
		return err_set(err, ENOMEM, "out of memory");
	ret = pass(script, text, (size_t)length, err);
	free(text);
	return ret < 0 ? ret : script->more;
}

int script_finish(struct script *script, struct err *err)
{
	int ret = 0;

	if (!script->started || script->ended)
		return 0;
	fd_close(&script->line_fd);
	/* What a last command prints that was not whole. Marks that come now are not the shell's.
	 */
	while (ret == 0 && !script->ended) {
		clear_marks(script);
		ret = pass(script, NULL, 0, err);
	}
	return ret;
}

void script_close(struct script *script)
{
	fd_close(&script->socket_fd);
	fd_close(&script->line_fd);
	fd_close(&script->stream[0].from_fd);
	fd_close(&script->stream[1].from_fd);
}
