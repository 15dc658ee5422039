/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's serial console on the host: its last CONSOLE_TAIL bytes are kept for messages; on
 * request it is shown as it comes. Nothing ever waits for it: what a slow reader can't take is
 * dropped and counted.
 */
#ifndef CORDON_MACHINE_CONSOLE_H
#define CORDON_MACHINE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/loop.h"
#include "vmm/base/ring.h"
#include "vmm/base/sink.h"
#include "vmm/base/text.h"

#define CONSOLE_TAIL (64u << 10)

/* The log has at most this many bytes, and at least the last CONSOLE_TAIL. */
#define CONSOLE_LOG_MAX (2 * CONSOLE_TAIL)

struct console {
	struct ring tail;
	struct sink out;
	bool shown, filtered;
	struct text_stream text;
	uint64_t bytes, dropped;
	int log_fd;    /* -1: none */
	size_t logged; /* bytes in it */
};

/*
 * show_fd: where to show it as it comes (stdout or stderr), or -1. It can't command a terminal, but
 * for newline, carriage return, tab and backspace. 0 or -errno.
 */
int console_init(struct console *console, struct loop *loop, int show_fd);

/* It may: it is all that there is of the guest, and meant for the terminal. */
void console_show_exactly(struct console *console);
void console_destroy(struct console *console);

/* From now on its output goes into an empty file as well, which stays the caller's. */
void console_keep(struct console *console, int log_fd);

/* What the guest has written. Under the device lock. */
void console_output(struct console *console, const uint8_t *bytes, size_t length);

/* Whether the kept output has this text. */
bool console_contains(const struct console *console, const char *text);

/*
 * Prints the last lines to stderr, each after a mark, cut to a bearable length and with control
 * characters made harmless.
 */
void console_print_tail(const struct console *console, unsigned lines);

#endif
