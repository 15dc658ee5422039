/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was typed at `cordon attach` and is not taken yet. It goes to the line editor as characters,
 * or to a program as bytes. Text that the terminal marks as pasted (bracketed paste) goes only to
 * the editor: each of its lines waits for the prompt, so a program cannot swallow the next one.
 */
#ifndef CORDON_CLI_ATTACH_INPUT_H
#define CORDON_CLI_ATTACH_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/*
 * Bytes that are held. Typed bytes beyond them are dropped; pasted text that does not fit is
 * dropped whole, what is held of it included, because half a paste is another command.
 */
#define INPUT_MAX (4u << 20)

/* What a terminal puts around pasted text, and how it is told to. */
#define PASTE_BEGIN "\033[200~"
#define PASTE_END   "\033[201~"
#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"

/* The character that stands for pasted text: input_take_pasted() has it. Typed, it is dropped. */
#define INPUT_PASTED 034

struct input {
	char *bytes;
	size_t at, end, size;
	bool pasting;
	bool pasted_end; /* the newline that was taken last was pasted */
	bool feeding;	 /* the byte that is fed next is pasted */
	size_t matched;	 /* bytes that were fed of the next sequence around pasted text */
	bool discarding; /* until the end of the pasted text that is being fed */
	bool overflowed; /* pasted text was dropped; for the caller to clear */
};

void input_free(struct input *input);
void input_feed(struct input *input, const char *bytes, size_t length);

/*
 * Drops all that is held, if pasted text is part of it, and the rest of that text as it comes.
 * Returns the bytes dropped.
 */
size_t input_drop_pasted(struct input *input);

/* Whether so much is held that it may soon be dropped. */
bool input_is_full(const struct input *input);

/* Whether bytes are there that may be the start of a longer sequence. */
bool input_is_partial(const struct input *input);

/*
 * Takes the next character: 1; or 0 if none is there. An incomplete sequence counts only with
 * whole, when nothing has followed for a while.
 */
int input_next(struct input *input, bool whole, wchar_t *c);

/* Takes pasted text up to the end of its line, as far as it is there, as a string. */
void input_take_pasted(struct input *input, char *to, size_t size);

/*
 * Takes bytes for a program: what was typed, before and after pasted text; raw: pasted text too,
 * with the sequences around it, for a program that has requested them. Returns their number.
 */
size_t input_take(struct input *input, bool raw, char *to, size_t size);

#endif
