/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bash without its line editor: lines are edited here, and echo must be the terminal's alone. */
const char *const encode_shell[] = {
	"sh",
	"-c",
	"if command -v bash >/dev/null 2>&1; then exec bash --noediting -i; fi; exec sh -i",
	NULL,
};

/*
 * Evaluated from the environment, because the shell's line editor echoes a typed line character by
 * character, which takes seconds where guest ring 0 is emulated.
 *
 * The prompts are no longer in the environment then, so that a shell within the shell has prompts
 * of its own. bash sets PS1 anew before each prompt: scripts such as those of virtual environments
 * change it. __cordon prints the mark of a command's start and keeps $? (or sets it to $1).
 */
static const char setup[] =
	"PS1=$__cordon_1 PS2=$__cordon_2 __cordon_p=$__cordon_1 __cordon_c=$__cordon_3;"
	"unset HISTFILE __cordon_0 __cordon_1 __cordon_2 __cordon_3;"
	"PROMPT_COMMAND=\"${PROMPT_COMMAND:+$PROMPT_COMMAND;}PS1=\\$__cordon_p\";"
	"__cordon() { set -- ${1:-$?}; "
	"{ printf %s \"$__cordon_c\"; return $1; } 2>/dev/null; }";

const char encode_setup[] = "eval \"$__cordon_0\"\n";

#define CTRL_E	 "\005"
#define CTRL_E_4 CTRL_E CTRL_E CTRL_E CTRL_E

const char encode_clear[] = CTRL_E_4 CTRL_E_4 CTRL_E_4 CTRL_E_4 "\025";
const char *const encode_clear_end = encode_clear + ENCODE_SWALLOWED;

int encode_env(const char *token, char *env[ENCODE_ENV_MAX + 1])
{
	env[4] = NULL;
	if (asprintf(&env[0], "__cordon_1=\033]133;D;%s;$?;$$;$PWD\a", token) < 0)
		env[0] = NULL;
	if (asprintf(&env[1], "__cordon_2=\033]133;P;%s;\a", token) < 0)
		env[1] = NULL;
	if (asprintf(&env[2], "__cordon_3=\033]133;C;%s;\a", token) < 0)
		env[2] = NULL;
	if (asprintf(&env[3], "__cordon_0=%s", setup) < 0)
		env[3] = NULL;
	return env[0] && env[1] && env[2] && env[3] ? 0 : -ENOMEM;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_plain(const char *line, bool tabs)
{
	for (; *line; line++)
		if (is_control(*line) && !(tabs && *line == '\t'))
			return false;
	return true;
}

static int check_length(const char *line, size_t limit, struct err *err)
{
	size_t length = strlen(line);

	if (length <= limit)
		return 0;
	return err_set(err, E2BIG,
		       "the line has %zu bytes, at most %zu fit: put it into a file (:cp)", length,
		       limit);
}

/* --- lines in pieces -------------------------------------------------------------------------- */

/* One byte as it stands within single quotes of the shell, for printf's %b. */
static size_t put_byte(char *to, char c)
{
	if (c == '\'')
		return (size_t)sprintf(to, "'\\''");
	if (c == '\\')
		return (size_t)sprintf(to, "\\\\");
	if (is_control(c))
		return (size_t)sprintf(to, "\\0%03o", (unsigned char)c);
	*to = c;
	return 1;
}

/* Assignments that put the line piece by piece into a variable, and the command that runs it. */
static void put_pieces(FILE *to, const char *line)
{
	char byte[8];
	size_t used;

	fputs("__cordon_s=$? __cordon_l=\n", to);
	while (*line) {
		fputs("__cordon_l=$__cordon_l'", to);
		for (used = 0; *line && used < ENCODE_PLAIN_MAX - 40; line++) {
			size_t length = put_byte(byte, *line);

			fwrite(byte, 1, length, to);
			used += length;
		}
		fputs("'\n", to);
	}
	fputs("__cordon_l=$(printf %b \"$__cordon_l\");"
	      "__cordon $__cordon_s;eval \"$__cordon_l\"\n",
	      to);
}

int encode_command(const char *line, bool tabs, char **text, struct err *err)
{
	size_t length;
	FILE *to;
	int ret;

	*text = NULL;
	ret = check_length(line, ENCODE_LINE_MAX, err);
	if (ret < 0)
		return ret;
	to = open_memstream(text, &length);
	if (!to)
		return err_set(err, ENOMEM, "out of memory");
	if (strlen(line) <= ENCODE_PLAIN_MAX && is_plain(line, tabs))
		fprintf(to, "__cordon;%s\n", line);
	else
		put_pieces(to, line);
	return fclose(to) == 0 ? 0 : err_set(err, ENOMEM, "out of memory");
}

int encode_more(const char *line, bool tabs, char **text, bool *changed, struct err *err)
{
	size_t length, column = 0;
	FILE *to;
	int ret;

	*text = NULL;
	*changed = false;
	ret = check_length(line, ENCODE_PLAIN_MAX, err);
	if (ret == 0 && !is_plain(line, true))
		ret = err_set(err, EINVAL,
			      "a control character can't stand in the next line of a "
			      "command");
	if (ret < 0)
		return ret;
	to = open_memstream(text, &length);
	if (!to)
		return err_set(err, ENOMEM, "out of memory");
	for (; *line; line++) {
		if (*line != '\t' || tabs) {
			fputc(*line, to);
			column++;
			continue;
		}
		*changed = true;
		do {
			fputc(' ', to);
		} while (++column % 8 != 0);
	}
	fputc('\n', to);
	return fclose(to) == 0 ? 0 : err_set(err, ENOMEM, "out of memory");
}
