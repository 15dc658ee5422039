/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `cordon attach` sends to the shell of a sandbox: the shell's set-up, and each line of the
 * operator in a form that its terminal passes on unchanged.
 *
 * A terminal in canonical mode takes lines of at most 4095 bytes and acts on control characters;
 * the line editor of busybox's shell takes 1023 bytes and completes at each tab. So a line that is
 * long or has such characters goes in pieces into a variable, which the shell then evaluates.
 */
#ifndef CORDON_CLI_ATTACH_ENCODE_H
#define CORDON_CLI_ATTACH_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/err.h"
#include "vmm/cli/attach_marks.h"

#define ENCODE_LINE_MAX	 65536 /* bytes of one line of the operator */
#define ENCODE_PLAIN_MAX 900   /* bytes of a line that is sent as it is */
#define ENCODE_ENV_MAX	 4

/* The command that starts an interactive shell: bash, or else sh. NULL-ended. */
extern const char *const encode_shell[];

/* The variables that encode_setup refers to, NAME=VALUE, NULL-ended; the caller frees each. */
int encode_env(const char *token, char *env[ENCODE_ENV_MAX + 1]);

/* The first line to send: prompts that are marks (attach_marks.h), no history file. */
extern const char encode_setup[];

/*
 * Discards what was typed ahead without its end, so that it can't become part of the next line. A
 * line editor may be within an escape sequence, which swallows what follows it (busybox: 15 bytes),
 * and its cursor anywhere, while Ctrl-U discards what is before it. So Ctrl-E comes first, often
 * enough for any sequence. Both have an effect on the current line only. encode_clear_end: Ctrl-U
 * alone, for when nothing was typed.
 */
#define ENCODE_SWALLOWED 16
extern const char encode_clear[ENCODE_SWALLOWED + 2];
extern const char *const encode_clear_end;

/*
 * Encodes a line (without its newline) that starts a command: one or more lines, each with a
 * newline, to be sent one after the other, each when the shell has printed a prompt; the last one
 * runs the command. tabs: the shell takes tabs unchanged. *text is malloc()ed. Returns 0; -E2BIG or
 * -ENOMEM with a message.
 */
int encode_command(const char *line, bool tabs, char **text, struct err *err);

/*
 * Encodes the next line of a command that the shell has not read whole. *changed: tabs were
 * replaced by spaces. Returns 0; -E2BIG, -EINVAL (control characters) or -ENOMEM with a message.
 */
int encode_more(const char *line, bool tabs, char **text, bool *changed, struct err *err);

#endif
