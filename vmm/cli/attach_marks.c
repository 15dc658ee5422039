/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_marks.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BEL '\a'

/* "\033]133;K;TOKEN;" and then, up to BEL, "STATUS;PID;DIRECTORY" for a prompt, else nothing. */
static const char introducer[] = "\033]133;";

#define KIND_AT	 (sizeof(introducer) - 1)
#define TOKEN_AT (KIND_AT + 2)
#define REST_AT	 (TOKEN_AT + MARKS_TOKEN + 1)

int marks_make_token(char token[MARKS_TOKEN + 1])
{
	unsigned char bytes[MARKS_TOKEN / 2];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

void marks_init(struct marks *marks, const char *token, const struct marks_ops *ops, void *arg)
{
	*marks = (struct marks){.ops = ops, .arg = arg};
	snprintf(marks->token, sizeof(marks->token), "%s", token);
}

/* Whether the byte at this place of a mark may be there. */
static bool fits(const struct marks *marks, size_t at, char byte)
{
	if (at < KIND_AT)
		return byte == introducer[at];
	if (at == KIND_AT)
		return byte == 'D' || byte == 'P' || byte == 'C';
	if (at == TOKEN_AT - 1 || at == REST_AT - 1)
		return byte == ';';
	if (at < REST_AT - 1)
		return byte == marks->token[at - TOKEN_AT];
	return byte != '\0' && at + 1 < sizeof(marks->held);
}

static bool parse_prompt(char *rest, struct marks_prompt *prompt)
{
	char *end;
	unsigned long status, pid;

	if (!isdigit((unsigned char)*rest))
		return false;
	status = strtoul(rest, &end, 10);
	if (status > 255 || *end != ';' || !isdigit((unsigned char)end[1]))
		return false;
	pid = strtoul(end + 1, &end, 10);
	if (pid > INT32_MAX || *end != ';')
		return false;
	*prompt = (struct marks_prompt){(int)status, (unsigned)pid, end + 1};
	return true;
}

/* Everything up to BEL is there. Returns false if it is no mark after all. */
static bool take_mark(struct marks *marks)
{
	struct marks_prompt prompt = {0};
	char *rest = marks->held + REST_AT;

	marks->held[marks->length] = '\0';
	if (marks->held[KIND_AT] == 'D') {
		if (!parse_prompt(rest, &prompt))
			return false;
		marks->ops->mark(marks->arg, MARK_PROMPT, &prompt);
		return true;
	}
	if (*rest)
		return false;
	marks->ops->mark(marks->arg, marks->held[KIND_AT] == 'P' ? MARK_MORE : MARK_START, NULL);
	return true;
}

static void flush(struct marks *marks)
{
	if (marks->length > 0)
		marks->ops->text(marks->arg, marks->held, marks->length);
	marks->length = 0;
}

/* Takes one byte that may belong to a mark; false: it does not. */
static bool hold(struct marks *marks, char byte)
{
	if (byte == BEL && marks->length >= REST_AT) {
		if (!take_mark(marks)) {
			flush(marks);
			return false;
		}
		marks->length = 0;
		return true;
	}
	if (!fits(marks, marks->length, byte)) {
		/* An escape character can only be the first of a mark: start anew with it. */
		flush(marks);
		if (byte != introducer[0])
			return false;
	}
	marks->held[marks->length++] = byte;
	return true;
}

void marks_feed(struct marks *marks, const char *bytes, size_t length)
{
	size_t at = 0, from = 0;

	while (at < length) {
		if (marks->length == 0) {
			const char *escape = memchr(bytes + at, introducer[0], length - at);

			at = escape ? (size_t)(escape - bytes) : length;
			if (at > from)
				marks->ops->text(marks->arg, bytes + from, at - from);
			from = at;
			if (!escape)
				return;
		}
		if (hold(marks, bytes[at]))
			from = at + 1;
		else
			from = at;
		at++;
	}
	if (at > from && marks->length == 0)
		marks->ops->text(marks->arg, bytes + from, at - from);
}

void marks_end(struct marks *marks)
{
	flush(marks);
}
