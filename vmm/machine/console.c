/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/console.h"

#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"

#define SHOWN_BUFFER (64u << 10)
#define LINE_SHOWN   200 /* characters of a line in a message: a guest may send an endless one */

int console_init(struct console *console, struct loop *loop, int show_fd)
{
	int ret;

	*console = (struct console){.shown = false};
	ring_init(&console->tail, CONSOLE_TAIL);
	if (show_fd < 0)
		return 0;
	ret = sink_init(&console->out, loop, show_fd, SHOWN_BUFFER, NULL, NULL);
	console->shown = ret == 0;
	return ret;
}

void console_destroy(struct console *console)
{
	if (console->shown)
		sink_destroy(&console->out);
	console->shown = false;
	ring_destroy(&console->tail);
}

void console_output(struct console *console, const uint8_t *bytes, size_t length)
{
	size_t space;

	console->bytes += length;
	if (console->shown)
		console->dropped += length - sink_write(&console->out, bytes, length);
	if (length > console->tail.size) {
		bytes += length - console->tail.size;
		length = console->tail.size;
	}
	space = ring_space(&console->tail);
	if (space < length)
		ring_consumed(&console->tail, length - space);
	ring_write(&console->tail, bytes, length);
}

/* The tail in one piece; returns its length. */
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
	char text[LINE_SHOWN * sizeof("\\x00") + 1];
	size_t i, used = 0, shown = min_u64(length, LINE_SHOWN);

	for (i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c == '\r')
			continue;
		if ((c < ' ' && c != '\t') || c >= 0x7f)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "\\x%02x", c);
		else
			text[used++] = (char)c;
	}
	text[used] = '\0';
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
