/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/console.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

#define LINE_SHOWN 200 /* characters of a line in a message: a guest's line may never end */

/* On a full disk the log has gaps. */
static void append(struct console *console, const void *bytes, size_t length)
{
	if (fd_write_full(console->log_fd, bytes, length) == 0)
		console->logged += length;
}

/* The tail has all that came since the log was full. */
static void restart_log(void *arg)
{
	struct console *console = arg;
	struct ring copy = console->tail;
	struct iovec iov[2];
	unsigned parts, i;

	if (console->log_fd < 0 || ftruncate(console->log_fd, 0) < 0 ||
	    lseek(console->log_fd, 0, SEEK_SET) < 0)
		return;
	console->logged = 0;
	parts = ring_readable(&copy, iov);
	for (i = 0; i < parts; i++)
		append(console, iov[i].iov_base, iov[i].iov_len);
}

int console_init(struct console *console, struct loop *loop, int show_fd)
{
	int ret;

	*console = (struct console){.log_fd = -1, .loop = loop};
	console->restart = (struct loop_task){.run = restart_log, .arg = console};
	console->text.keep = TEXT_CONSOLE;
	console->filtered = isatty(show_fd);
	ring_init(&console->tail, CONSOLE_TAIL);
	if (show_fd < 0)
		return 0;
	ret = sink_init(&console->out, loop, show_fd, CONSOLE_SHOWN, NULL, NULL);
	console->shown = ret == 0;
	return ret;
}

void console_destroy(struct console *console)
{
	char text[TEXT_ROOM(3)];

	if (console->filtered && console->shown)
		sink_write(&console->out, text, text_stream_end(&console->text, text));
	if (console->shown)
		sink_destroy(&console->out);
	console->shown = false;
	if (console->restart.queued) {
		loop_cancel(console->loop, &console->restart);
		restart_log(console);
	}
	ring_destroy(&console->tail);
}

void console_show_exactly(struct console *console)
{
	console->filtered = false;
}

/* Shows what the output buffer has room for; counts the rest as dropped. */
static void show(struct console *console, const uint8_t *bytes, size_t length)
{
	char text[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)];
	size_t part, made;

	if (!console->filtered) {
		console->dropped += length - sink_write(&console->out, bytes, length);
		return;
	}
	for (; length > 0; length -= part, bytes += part) {
		part = min_u64(length, TEXT_STREAM_CHUNK);
		made = text_stream(&console->text, bytes, part, text);
		if (sink_write(&console->out, text, made) < made)
			console->dropped += part;
	}
}

void console_keep(struct console *console, int log_fd)
{
	console->log_fd = log_fd;
	console->logged = 0;
}

static void keep(struct console *console, const uint8_t *bytes, size_t length)
{
	if (console->log_fd < 0 || console->restart.queued)
		return;
	if (console->logged + length <= CONSOLE_LOG_MAX)
		append(console, bytes, length);
	else
		loop_defer(console->loop, &console->restart);
}

void console_output(struct console *console, const uint8_t *bytes, size_t length)
{
	size_t space;

	console->bytes += length;
	if (console->shown)
		show(console, bytes, length);
	if (length > console->tail.size) {
		bytes += length - console->tail.size;
		length = console->tail.size;
	}
	space = ring_space(&console->tail);
	if (space < length)
		ring_consumed(&console->tail, length - space);
	ring_write(&console->tail, bytes, length);
	keep(console, bytes, length);
}

/* Copies the tail into one buffer; returns its length. */
static size_t console_copy(const struct console *console, char *to)
{
	struct ring copy = console->tail;

	return ring_read(&copy, to, console->tail.size);
}

bool console_contains(const struct console *console, const char *text)
{
	static char copy[CONSOLE_TAIL];
	size_t length = console_copy(console, copy);

	return memmem(copy, length, text, strlen(text)) != NULL;
}

static void print_line(const char *line, size_t length)
{
	char kept[LINE_SHOWN] = "", text[TEXT_ROOM(LINE_SHOWN)];
	size_t i, used = 0, shown = min_u64(length, LINE_SHOWN);

	for (i = 0; i < shown; i++)
		if (line[i] != '\r')
			kept[used++] = line[i];
	text_safe(text, sizeof(text), kept, used, TEXT_TABS);
	log_error("console: %s%s", text, shown < length ? " ..." : "");
}

void console_print_tail(const struct console *console, unsigned lines)
{
	static char copy[CONSOLE_TAIL];
	size_t length = console_copy(console, copy), start, next;
	const char *end;

	while (length > 0 && (copy[length - 1] == '\n' || copy[length - 1] == '\r'))
		length--;
	for (start = length; start > 0; start--)
		if (copy[start - 1] == '\n' && lines-- <= 1)
			break;
	for (; start < length; start = next) {
		end = memchr(copy + start, '\n', length - start);
		next = end ? (size_t)(end - copy) + 1 : length;
		print_line(copy + start, (end ? next - 1 : next) - start);
	}
}
