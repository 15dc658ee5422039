/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edited line of `cordon attach`, by libedit: history, completion, and text that appears above
 * the line while it is being edited. libedit is loaded when the first line is edited: linking it
 * would cost each start of cordon a millisecond.
 */
#ifndef CORDON_CLI_ATTACH_LINE_H
#define CORDON_CLI_ATTACH_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/err.h"

#define LINE_HISTORY_LINES 1000
#define LINE_CANDIDATES	   256

struct line_candidates {
	size_t start; /* where in the line the candidates begin */
	char *text[LINE_CANDIDATES];
	size_t count;
};

struct line_ops {
	const char *(*prompt)(void *arg);
	/*
	 * Waits for events, at most timeout_ms (-1: any time), and hands bytes that were typed to
	 * line_feed(). Returns 0; or 1 if the line is not wanted any more.
	 */
	int (*wait)(void *arg, int timeout_ms);
	/* Adds candidates (malloc()ed) for the text before the cursor. */
	void (*complete)(void *arg, const char *text, struct line_candidates *found);
};

enum line_end {
	LINE_READ,	/* a line was entered */
	LINE_EOF,	/* Ctrl-D on an empty line */
	LINE_CANCELLED, /* Ctrl-C */
	LINE_DETACHED,	/* Ctrl-] */
	LINE_STOPPED,	/* wait() said so */
};

struct line;

/*
 * history: the file of the history, or NULL. 0; -ENOENT with a message if libedit is not installed;
 * or another -errno.
 */
int line_open(struct line **line, const struct line_ops *ops, void *arg, const char *history,
	      struct err *err);
void line_close(struct line *line);

/* Edits a line. *text is valid until the next call; without a newline. */
enum line_end line_read(struct line *line, const char **text);

/* Adds what was read to the history and its file. */
void line_remember(struct line *line, const char *text);

/* Bytes that were typed: see attach_input.h. */
void line_feed(struct line *line, const char *bytes, size_t length);

bool line_is_full(const struct line *line);

/* Whether the byte that is fed next is pasted, and so no key. */
bool line_is_pasting(const struct line *line);

/* Drops what was typed and pasted, if pasted text waits; returns the bytes. */
size_t line_drop_pasted(struct line *line);

/* Whether pasted text was dropped since the last call, because it was too long. */
bool line_has_overflowed(struct line *line);

size_t line_take(struct line *line, bool raw, char *to, size_t size);

/* Whether the end of the line that was read last was pasted, not typed. */
bool line_was_pasted(const struct line *line);

/* Prints text above the line while one is edited, else just prints it. */
void line_print(struct line *line, const char *text, size_t length);

/* The terminal has another size. */
void line_resize(struct line *line);

#endif
