/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's serial console on the host. Its last CONSOLE_TAIL bytes are kept for messages; on
 * request it is shown as it comes. Nothing ever waits for its reader: what a slow reader cannot
 * take is dropped and counted.
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

/* Bytes of the output that wait for a slow reader where the console is shown. */
#define CONSOLE_SHOWN (64u << 10)

/* The log has at most this many bytes, and always the last CONSOLE_TAIL of the output. */
#define CONSOLE_LOG_MAX (2 * CONSOLE_TAIL)

struct console {
	struct ring tail;
	struct sink out;
	bool shown, filtered;
	struct text_stream text;
	uint64_t bytes, dropped;
	int log_fd;    /* -1: none */
	size_t logged; /* bytes in it */
	/* A full log starts over with the tail: in the event loop, as no vCPU may cut a file. */
	struct loop *loop;
	struct loop_task restart;
};

/*
 * show_fd: where to show the console as it comes (stdout or stderr), or -1. The output cannot
 * control a terminal, except by newline, carriage return, tab and backspace. 0 or -errno.
 */
int console_init(struct console *console, struct loop *loop, int show_fd);

/* Shows the output unfiltered: for a guest whose console is meant for the terminal. */
void console_show_exactly(struct console *console);
void console_destroy(struct console *console);

/* From now on also writes the output to log_fd, an empty file, which stays the caller's. */
void console_keep(struct console *console, int log_fd);

/* Takes what the guest has written. Under the device lock. */
void console_output(struct console *console, const uint8_t *bytes, size_t length);

/* Whether the kept output contains the text. */
bool console_contains(const struct console *console, const char *text);

/*
 * Prints the last lines to stderr, each after a mark, cut to a readable length and with control
 * characters made harmless.
 */
void console_print_tail(const struct console *console, unsigned lines);

#endif
