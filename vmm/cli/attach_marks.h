/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompt marks: how `cordon attach` knows where a command of the shell starts and ends. The shell
 * itself prints them, as the prompts PS1 and PS2 and from a function that stands before each
 * command: operating system commands 133 of terminals, with a random token that output of programs
 * can't contain by accident. All other output, marks without the token included, is text.
 *
 * A hostile guest can read the token and forge marks. It gains little by that: the marks decide
 * when the operator's next line is read, not whether a line is Cordon's.
 */
#ifndef CORDON_CLI_ATTACH_MARKS_H
#define CORDON_CLI_ATTACH_MARKS_H

#include <stddef.h>

#define MARKS_TOKEN	    32 /* hexadecimal digits */
#define MARKS_DIRECTORY_MAX 1024
#define MARKS_LONGEST	    (MARKS_TOKEN + MARKS_DIRECTORY_MAX + 64)

enum mark {
	MARK_PROMPT, /* the shell waits for a command */
	MARK_MORE,   /* it waits for the rest of a command */
	MARK_START,  /* a command that was read whole starts */
};

struct marks_prompt {
	int status;	       /* of the last command, 0 to 255 */
	unsigned pid;	       /* the shell's, as the sandbox counts */
	const char *directory; /* the shell's; may contain any bytes but BEL and NUL */
};

struct marks_ops {
	void (*text)(void *arg, const char *bytes, size_t length);
	void (*mark)(void *arg, enum mark mark, const struct marks_prompt *prompt);
};

struct marks {
	const struct marks_ops *ops;
	void *arg;
	char token[MARKS_TOKEN + 1];
	char held[MARKS_LONGEST]; /* what may become a mark */
	size_t length;
};

/* Fills token with random digits. 0 or -errno. */
int marks_make_token(char token[MARKS_TOKEN + 1]);

void marks_init(struct marks *marks, const char *token, const struct marks_ops *ops, void *arg);

/* Splits output of the shell into text and marks, in order. */
void marks_feed(struct marks *marks, const char *bytes, size_t length);

/* The output has ended: what looked like the start of a mark is text. */
void marks_end(struct marks *marks);

#endif
