/* SPDX-License-Identifier: Apache-2.0 */
/* What the prompt of `cordon attach` shows: output of the shell and its programs, and questions. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/cli/attach_input.h"
#include "vmm/cli/attach_repl.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/question.h"

/* What busybox's line editor asks the terminal, which then types its reply. */
#define ASK_CURSOR "\033[6n"

#define CHUNK 4096

/* --- printing --------------------------------------------------------------------------------- */

void repl_notice(struct repl *repl, const char *fmt, ...)
{
	char text[1024], safe[TEXT_ROOM(sizeof(text))], whole[TEXT_ROOM(sizeof(text)) + 8];
	const char *before = repl->terminal.raw ? "\r\n" : "", *after = before[0] ? "\r\n" : "\n";
	va_list args;
	int length;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	text_safe(safe, sizeof(safe), text, strlen(text), 0);
	if (repl->verb_runs) {
		size_t used = strlen(repl->missed);

		snprintf(repl->missed + used, sizeof(repl->missed) - used, "%s\n", safe);
		return;
	}
	length = snprintf(whole, sizeof(whole), "%s%s%s", before, safe, after);
	line_print(repl->line, whole, (size_t)length);
}

/*
 * Removes the questions that busybox asks the terminal, which may be spread over several chunks.
 * Returns the length of what is left in `to`, which has room for 3 bytes more.
 */
static size_t drop_queries(struct repl *repl, char *to, const char *bytes, size_t length)
{
	size_t used = 0, i;

	for (i = 0; i < length; i++) {
		if (bytes[i] != ASK_CURSOR[repl->query]) {
			memcpy(to + used, ASK_CURSOR, repl->query);
			used += repl->query;
			repl->query = 0;
		}
		if (bytes[i] != ASK_CURSOR[repl->query])
			to[used++] = bytes[i];
		else if (++repl->query == strlen(ASK_CURSOR)) {
			repl->query = 0;
			repl->tabs = false;
		}
	}
	return used;
}

/* Holds output back, the last KEPT_MAX bytes of it. */
static void hold(struct repl *repl, const char *bytes, size_t length)
{
	size_t drop;

	if (repl->held_length + length > sizeof(repl->held)) {
		drop = repl->held_length + length - sizeof(repl->held);
		memmove(repl->held, repl->held + drop, repl->held_length - drop);
		repl->held_length -= drop;
	}
	memcpy(repl->held + repl->held_length, bytes, length);
	repl->held_length += length;
}

/* The end of the echo of the line that was sent; NULL: it has not come whole. */
static char *find_echo_end(struct repl *repl)
{
	char *end = repl->held, *stop = repl->held + repl->held_length;

	while (end < stop && (end = memchr(end, '\n', (size_t)(stop - end)))) {
		end++;
		/* busybox writes "\r\r\n" where the echo wraps. */
		if (end - repl->held < 3 || end[-3] != '\r')
			return end;
	}
	return NULL;
}

/* What the shell said of a line that it did not run. */
static void print_complaint(struct repl *repl)
{
	const char *from = find_echo_end(repl);

	line_print(repl->line, from, (size_t)(repl->held + repl->held_length - from));
}

/* Modes of the terminal that a program sets, as far as they matter here. */
static void look_for_modes(struct repl *repl, const char *bytes, size_t length)
{
	if (memmem(bytes, length, PASTE_ON, strlen(PASTE_ON)))
		repl->program_pastes = true;
	if (memmem(bytes, length, PASTE_OFF, strlen(PASTE_OFF)))
		repl->program_pastes = false;
	if (memmem(bytes, length, "\033[?1049h", 8))
		repl->alternate = true;
	if (memmem(bytes, length, "\033[?1049l", 8))
		repl->alternate = false;
}

static void on_text(void *arg, const char *bytes, size_t length)
{
	char left[CHUNK + sizeof(ASK_CURSOR)];
	struct repl *repl = arg;
	size_t part, used;

	if (repl->state == AT_PROGRAM) {
		look_for_modes(repl, bytes, length);
		line_print(repl->line, bytes, length);
		return;
	}
	for (; length > 0; bytes += part, length -= part) {
		part = length < CHUNK ? length : CHUNK;
		used = drop_queries(repl, left, bytes, part);
		if (repl->state != AT_PROMPT && repl->state != AT_MORE)
			hold(repl, left, used);
		else if (used > 0)
			line_print(repl->line, left, used);
	}
}

/* --- marks ------------------------------------------------------------------------------------ */

void repl_send_next(struct repl *repl)
{
	char *end = strchr(repl->next, '\n') + 1;

	repl->held_length = 0;
	repl->state = AT_SENT;
	repl->started_late = false;
	shell_send(&repl->shell, repl->next, (size_t)(end - repl->next));
	repl->next = end;
	if (!*end) {
		free(repl->queue);
		repl->queue = repl->next = NULL;
	}
}

static void take_prompt(struct repl *repl, const struct marks_prompt *prompt)
{
	if (repl->state == AT_SENT && repl->queue) {
		repl_send_next(repl);
		return;
	}
	if (repl->state == AT_SENT)
		print_complaint(repl);
	repl->program_pastes = false;
	repl->status = prompt->status;
	repl->pid = prompt->pid;
	snprintf(repl->directory, sizeof(repl->directory), "%s", prompt->directory);
	repl->state = AT_PROMPT;
}

static void on_mark(void *arg, enum mark mark, const struct marks_prompt *prompt)
{
	struct repl *repl = arg;
	bool kept = repl->state == AT_KEPT;

	/* A line editor draws its prompt again, for instance after a change of size. */
	if (repl->state == AT_SENT && mark != MARK_START && !find_echo_end(repl))
		return;
	if (mark == MARK_PROMPT)
		take_prompt(repl, prompt);
	else
		repl->state = mark == MARK_MORE ? AT_MORE : AT_PROGRAM;
	repl->held_length = 0;
	repl->query = 0;
	if (kept) {
		repl->kept_state = repl->state;
		repl->state = AT_KEPT;
	}
}

void repl_end_kept(struct repl *repl)
{
	uint16_t rows, columns;

	repl->state = repl->kept_state;
	if (repl->state == AT_PROGRAM) {
		line_print(repl->line, repl->held, repl->held_length);
		/* A program of the whole screen paints it again when the size changes. */
		terminal_window(&rows, &columns);
		shell_resize(&repl->shell, rows, columns > 1 ? (uint16_t)(columns - 1) : 2);
		shell_resize(&repl->shell, rows, columns);
	}
	repl->held_length = 0;
}

/* --- questions -------------------------------------------------------------------------------- */

/* As `cordon ask` shows it, and how to decide it. */
static void show_question(struct repl *repl, const json_t *question)
{
	bool edits = repl->state == AT_PROMPT || repl->state == AT_MORE;
	long long number = question_number(question);
	char *text = NULL, *line, *rest;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	if (!to)
		return;
	question_print(to, question);
	if (fclose(to) == 0)
		for (rest = text; (line = strsep(&rest, "\n")) && *line;)
			repl_notice(repl, "%s", line);
	free(text);
	repl_notice(repl, "   %s:allow %lld or :deny %lld", edits ? "" : "Ctrl-^ and ", number,
		    number);
}

static void on_event(void *arg, const json_t *event)
{
	struct repl *repl = arg;

	if (repl->alternate)
		fputc('\a', stdout);
	if (strcmp(text_in(event, "event"), "over") == 0)
		repl_notice(repl, "question %lld is decided: %s", question_number(event),
			    text_in(event, "how"));
	else
		show_question(repl, event);
}

const struct shell_ops repl_ops = {{on_text, on_mark}, on_event};
