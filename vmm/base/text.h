/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escapes text that a guest, a file or a network peer chose, so that it can't harm a terminal. All
 * untrusted text that Cordon prints goes through here.
 *
 * Characters that a terminal would obey or that mislead a reader are escaped: control characters,
 * DEL and bytes that are not UTF-8 as `\x1b`; C1 controls, bidirectional controls, line and
 * paragraph separators and invisible characters as `\u202e`. (A single byte from 0x80 to 0x9f is a
 * C1 control to some terminals, and is not UTF-8.) All other characters stay as they are,
 * backslashes too, so harmless text does not change.
 */
#ifndef CORDON_BASE_TEXT_H
#define CORDON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Control characters to keep. */
#define TEXT_TABS    1u /* tab */
#define TEXT_LINES   3u /* tab and newline: text of several lines */
#define TEXT_CONSOLE 7u /* those, carriage return and backspace: a console's stream */
/* JSON text: keeps tab and newline, which JSON strings can't contain, and escapes all others in a
 * form that is valid in a JSON string: `\u202e`. */
#define TEXT_JSON 11u

/* Buffer size for the escaped form of length bytes, with a NUL. */
#define TEXT_ROOM(length) (6 * (size_t)(length) + 1)

/*
 * Writes the escaped form of length bytes to `to`, with a NUL. If size (at least 1) is too small,
 * the text is cut after a whole character. Returns the length written, without the NUL.
 */
size_t text_safe(char *to, size_t size, const char *from, size_t length, unsigned keep);

/* Whether text_safe() would change nothing. */
bool text_is_safe(const char *text, size_t length, unsigned keep);

/*
 * The same for a stream that arrives in chunks. A chunk may end within a character: its first bytes
 * are held until the rest arrives, or until text_stream_end(). Initialize with zeros and keep.
 */
struct text_stream {
	unsigned keep;
	unsigned held;
	char hold[4];
};

#define TEXT_STREAM_CHUNK 512

/*
 * Escapes length bytes, at most TEXT_STREAM_CHUNK, into `to`, which has TEXT_ROOM(length + 3)
 * bytes. Returns the length written; there is no NUL.
 */
size_t text_stream(struct text_stream *stream, const void *from, size_t length, char *to);
size_t text_stream_end(struct text_stream *stream, char to[TEXT_ROOM(3)]);

/* --- printing --------------------------------------------------------------------------------- */

/* Prints one word or name; escapes every control character. */
void text_put(FILE *to, const char *text);

/* Prints one line and a newline: escapes the formatted message as a whole, except for tabs. */
void text_line(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Prints bytes that a program may read: escaped if `to` is a terminal, otherwise unchanged.
 */
void text_write(FILE *to, const void *from, size_t length, unsigned keep);

#endif
