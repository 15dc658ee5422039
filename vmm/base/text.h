/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that a guest, a file or a network peer chose, made harmless for a terminal. This is the one
 * place that knows how; everything that Cordon prints about others' text goes through here.
 *
 * What a terminal would obey or a reader would be fooled by is spelled out: control characters,
 * DEL and bytes that are no UTF-8 as `\x1b`; C1 controls, bidirectional controls, line and
 * paragraph separators and invisible characters as `\u202e`. A single byte of 0x80 to 0x9f is a C1
 * control to some terminals and is no UTF-8. All other characters stay as they are, backslashes
 * too, so text that is harmless is not changed.
 */
#ifndef CORDON_BASE_TEXT_H
#define CORDON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What may stay besides. */
#define TEXT_TABS    1u /* tab */
#define TEXT_LINES   3u /* tab and newline: text of several lines */
#define TEXT_CONSOLE 7u /* those, carriage return and backspace: a console's stream */
/* Tab and newline, which JSON strings have not; what is spelled out is valid in them: `\u202e`. */
#define TEXT_JSON 11u

/* Room for what becomes of so many bytes, with a NUL. */
#define TEXT_ROOM(length) (6 * (size_t)(length) + 1)

/*
 * Writes the harmless form of length bytes to `to`, ended by NUL and cut behind a whole character
 * if size (at least 1) is too small. Returns the length of what was written.
 */
size_t text_safe(char *to, size_t size, const char *from, size_t length, unsigned keep);

/* Whether text_safe() would change nothing. */
bool text_is_safe(const char *text, size_t length, unsigned keep);

/*
 * The same for a stream, whose pieces may end within a character: the begin of one is kept until
 * the rest is there, or text_stream_end(). All zero but keep is the begin.
 */
struct text_stream {
	unsigned keep;
	unsigned held;
	char hold[4];
};

#define TEXT_STREAM_PIECE 512

/* At most TEXT_STREAM_PIECE bytes; `to` has TEXT_ROOM(length + 3) bytes. The length written. */
size_t text_stream(struct text_stream *stream, const void *from, size_t length, char *to);
size_t text_stream_end(struct text_stream *stream, char to[TEXT_ROOM(3)]);

/* --- printing --------------------------------------------------------------------------------- */

/* A word or a name: nothing stays besides. */
void text_put(FILE *to, const char *text);

/* One line, with its newline: the message as a whole is made harmless, tabs stay. */
void text_line(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Bytes that may be meant for a program: on a terminal they are made harmless, elsewhere they go
 * out as they are.
 */
void text_write(FILE *to, const void *from, size_t length, unsigned keep);

#endif
