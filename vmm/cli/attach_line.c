/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_line.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/cli/attach_history.h"
#include "vmm/cli/attach_input.h"
#include "vmm/cli/terminal.h"

#define LIBRARY "libedit.so.2"

/* How long a lone escape character may be the start of such a sequence. */
#define ESCAPE_MS 30

struct library {
	__typeof__(&el_init) init;
	__typeof__(&el_end) end;
	__typeof__(&el_set) set;
	__typeof__(&el_get) get;
	__typeof__(&el_gets) gets;
	__typeof__(&el_line) line;
	__typeof__(&el_insertstr) insert;
	__typeof__(&el_deletestr) erase;
	__typeof__(&el_replacestr) replace;
	__typeof__(&el_resize) resize;
	__typeof__(&history_init) history_init;
	__typeof__(&history_end) history_end;
	__typeof__(&history) history;
};

struct line {
	struct library library;
	EditLine *edit;
	History *past;
	char *past_file;
	const struct line_ops *ops;
	void *arg;
	struct input input;
	bool editing;
	enum line_end end;
	char *text;
};

/* The one that is open: libedit's functions get no argument of ours without a library call. */
static struct line *open_line;

static int get_key(EditLine *edit, wchar_t *c)
{
	struct line *line = open_line;
	bool whole = false, partial;

	(void)edit;
	while (!input_next(&line->input, whole, c)) {
		partial = input_is_partial(&line->input);
		if (line->ops->wait(line->arg, partial ? ESCAPE_MS : -1)) {
			line->end = LINE_STOPPED;
			return 0;
		}
		whole = partial;
	}
	return 1;
}

/* --- keys ------------------------------------------------------------------------------------- */

static unsigned char paste(EditLine *edit, int key)
{
	char text[4096];

	(void)key;
	input_take_pasted(&open_line->input, text, sizeof(text));
	open_line->library.insert(edit, text);
	return CC_REFRESH;
}

static unsigned char end_line(EditLine *edit, enum line_end end)
{
	open_line->end = end;
	open_line->library.replace(edit, "");
	return CC_NEWLINE;
}

static unsigned char cancel(EditLine *edit, int key)
{
	(void)key;
	fputs("^C", stdout);
	return end_line(edit, LINE_CANCELLED);
}

static unsigned char detach(EditLine *edit, int key)
{
	(void)key;
	return end_line(edit, LINE_DETACHED);
}

static size_t common_length(const struct line_candidates *found)
{
	size_t length = strlen(found->text[0]), i, k;

	for (i = 1; i < found->count; i++) {
		for (k = 0; k < length && found->text[i][k] == found->text[0][k]; k++)
			;
		length = k;
	}
	/* Not within a character. */
	while (length > 0 && ((unsigned char)found->text[0][length] & 0xc0) == 0x80)
		length--;
	return length;
}

static void list_candidates(const struct line_candidates *found)
{
	size_t i, length = 0;
	char text[4096];

	for (i = 0; i < found->count && length < sizeof(text) - 1; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
					   i ? "  " : "", found->text[i]);
	line_print(open_line, text, length < sizeof(text) ? length : sizeof(text) - 1);
}

/* Completes what is before the cursor, as far as all candidates agree, or lists them. */
static unsigned char complete(EditLine *edit, int key)
{
	struct line *line = open_line;
	const LineInfo *info = line->library.line(edit);
	size_t before = (size_t)(info->cursor - info->buffer), common, i;
	struct line_candidates found = {.start = before};
	unsigned char result = CC_REFRESH_BEEP;
	char *text = strndup(info->buffer, before);

	(void)key;
	if (text)
		line->ops->complete(line->arg, text, &found);
	if (text && found.count > 0 && found.start <= before) {
		common = common_length(&found);
		if (common > before - found.start || found.count == 1) {
			found.text[0][common] = '\0';
			line->library.erase(edit, (int)mbstowcs(NULL, text + found.start, 0));
			line->library.insert(edit, found.text[0]);
		} else {
			list_candidates(&found);
		}
		result = CC_REFRESH;
	}
	for (i = 0; i < found.count; i++)
		free(found.text[i]);
	free(text);
	return result;
}

/* --- history ---------------------------------------------------------------------------------- */

static void enter_history(void *arg, const char *text)
{
	struct line *line = arg;
	HistEvent event;

	line->library.history(line->past, &event, H_ENTER, text);
}

void line_remember(struct line *line, const char *text)
{
	if (!*text || *text == ' ' || strlen(text) > HISTORY_MAX / 16)
		return;
	enter_history(line, text);
	if (line->past_file)
		history_append(line->past_file, text);
}

/* --- the editor ------------------------------------------------------------------------------- */

static char *prompt(EditLine *edit)
{
	const char *text = open_line->ops->prompt(open_line->arg);

	(void)edit;
	/* libedit does not survive one that it cannot decode. */
	return (char *)(uintptr_t)(mbstowcs(NULL, text, 0) == (size_t)-1 ? "$ " : text);
}

static int load(struct library *library, struct err *err)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const struct {
		const char *name;
		void **to;
	} symbol[] = {
		{"el_init", (void **)&library->init},
		{"el_end", (void **)&library->end},
		{"el_set", (void **)&library->set},
		{"el_get", (void **)&library->get},
		{"el_gets", (void **)&library->gets},
		{"el_line", (void **)&library->line},
		{"el_insertstr", (void **)&library->insert},
		{"el_deletestr", (void **)&library->erase},
		{"el_replacestr", (void **)&library->replace},
		{"el_resize", (void **)&library->resize},
		{"history_init", (void **)&library->history_init},
		{"history_end", (void **)&library->history_end},
		{"history", (void **)&library->history},
	};
	size_t i;

	if (!handle)
		return err_set(err, ENOENT,
			       "attach: libedit is not installed (package libedit2): lines of a "
			       "script work without it");
	for (i = 0; i < ARRAY_SIZE(symbol); i++) {
		*symbol[i].to = dlsym(handle, symbol[i].name);
		if (!*symbol[i].to)
			return err_set(err, ENOENT, "attach: this libedit has no %s",
				       symbol[i].name);
	}
	return 0;
}

static void bind_keys(struct line *line)
{
	static const char *const keys[][2] = {
		{"\t", "cordon-complete"},    {"\\034", "cordon-paste"},
		{"\\003", "cordon-cancel"},   {"\\035", "cordon-detach"},
		{"^R", "em-inc-search-prev"}, {"\\e[3~", "ed-delete-next-char"},
		{"\\e[1~", "ed-move-to-beg"}, {"\\e[4~", "ed-move-to-end"},
		{"\\e[H", "ed-move-to-beg"},  {"\\e[F", "ed-move-to-end"},
		{"\\e[1;5C", "em-next-word"}, {"\\e[1;5D", "ed-prev-word"},
	};
	__typeof__(line->library.set) set = line->library.set;
	size_t i;

	set(line->edit, EL_ADDFN, "cordon-complete", "complete", complete);
	set(line->edit, EL_ADDFN, "cordon-paste", "insert pasted text", paste);
	set(line->edit, EL_ADDFN, "cordon-cancel", "drop the line", cancel);
	set(line->edit, EL_ADDFN, "cordon-detach", "detach", detach);
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		set(line->edit, EL_BIND, keys[i][0], keys[i][1], NULL);
}

int line_open(struct line **out, const struct line_ops *ops, void *arg, const char *history,
	      struct err *err)
{
	struct line *line = calloc(1, sizeof(*line));
	HistEvent event;
	int ret;

	if (!line)
		return err_set(err, ENOMEM, "out of memory");
	line->ops = ops;
	line->arg = arg;
	ret = load(&line->library, err);
	if (ret < 0) {
		free(line);
		return ret;
	}
	open_line = line;
	line->past_file = history ? strdup(history) : NULL;
	line->past = line->library.history_init();
	terminal_keep(STDIN_FILENO);
	line->edit = line->library.init("cordon", stdin, stdout, stderr);
	if (!line->edit || !line->past) {
		line_close(line);
		return err_set(err, ENOMEM, "attach: the line editor can't start");
	}
	line->library.history(line->past, &event, H_SETSIZE, LINE_HISTORY_LINES);
	line->library.history(line->past, &event, H_SETUNIQUE, 1);
	if (line->past_file)
		history_load(line->past_file, enter_history, line);
	line->library.set(line->edit, EL_EDITOR, "emacs");
	line->library.set(line->edit, EL_SIGNAL, 0);
	/* Ctrl-C is a character: as a signal it would flush what tells pasted text from keys. */
	line->library.set(line->edit, EL_SETTY, "-d", "-isig", NULL);
	/* Between two lines, too: the rest of a paste is neither echoed nor cut at 4096 bytes. */
	line->library.set(line->edit, EL_SETTY, "-x", "-isig", "-icanon", "-echo", NULL);
	line->library.set(line->edit, EL_PROMPT, prompt);
	line->library.set(line->edit, EL_HIST, line->library.history, line->past);
	line->library.set(line->edit, EL_GETCFN, get_key);
	bind_keys(line);
	*out = line;
	return 0;
}

void line_close(struct line *line)
{
	if (!line)
		return;
	if (line->edit)
		line->library.end(line->edit);
	terminal_release();
	if (line->past)
		line->library.history_end(line->past);
	free(line->past_file);
	input_free(&line->input);
	free(line->text);
	open_line = NULL;
	free(line);
}

enum line_end line_read(struct line *line, const char **text)
{
	const char *read;
	int count = 0;

	fputs(PASTE_ON, stdout);
	fflush(stdout);
	line->end = LINE_READ;
	line->editing = true;
	read = line->library.gets(line->edit, &count);
	line->editing = false;
	fputs(PASTE_OFF, stdout);
	fflush(stdout);
	free(line->text);
	line->text = strdup(read && line->end == LINE_READ ? read : "");
	if (line->text)
		line->text[strcspn(line->text, "\n")] = '\0';
	*text = line->text ? line->text : "";
	if (!read && line->end == LINE_READ)
		line->end = LINE_EOF;
	if (line->end != LINE_READ)
		putchar('\n');
	fflush(stdout);
	return line->end;
}

void line_feed(struct line *line, const char *bytes, size_t length)
{
	input_feed(&line->input, bytes, length);
}

bool line_is_full(const struct line *line)
{
	return input_is_full(&line->input);
}

bool line_is_pasting(const struct line *line)
{
	return line->input.feeding;
}

size_t line_drop_pasted(struct line *line)
{
	return input_drop_pasted(&line->input);
}

bool line_has_overflowed(struct line *line)
{
	bool overflowed = line->input.overflowed;

	line->input.overflowed = false;
	return overflowed;
}

size_t line_take(struct line *line, bool raw, char *to, size_t size)
{
	return input_take(&line->input, raw, to, size);
}

bool line_was_pasted(const struct line *line)
{
	return line->input.pasted_end;
}

/* --- above the line --------------------------------------------------------------------------- */

/* How wide a terminal shows it; the editor shows control characters as two. */
static size_t columns_of(const char *text, size_t length)
{
	size_t columns = 0, used;
	mbstate_t state = {0};
	wchar_t c;
	int width;

	for (; length > 0; text += used, length -= used) {
		used = mbrtowc(&c, text, length, &state);
		if (used == 0 || used > length)
			return columns + length;
		width = wcwidth(c);
		columns += width < 0 ? 2 : (size_t)width;
	}
	return columns;
}

/* How many rows above the cursor the edited line starts. */
static unsigned rows_above(const struct line *line)
{
	const LineInfo *info = line->library.line(line->edit);
	const char *shown = line->ops->prompt(line->arg);
	uint16_t rows, width;
	size_t columns;

	terminal_window(&rows, &width);
	columns = columns_of(shown, strlen(shown)) +
		  columns_of(info->buffer, (size_t)(info->cursor - info->buffer));
	return (unsigned)(columns / width);
}

void line_print(struct line *line, const char *text, size_t length)
{
	unsigned above;

	if (!line->editing) {
		fwrite(text, 1, length, stdout);
		fflush(stdout);
		return;
	}
	above = rows_above(line);
	putchar('\r');
	if (above)
		printf("\033[%uA", above);
	fputs("\033[J", stdout);
	fwrite(text, 1, length, stdout);
	if (length > 0 && text[length - 1] != '\n')
		putchar('\n');
	fflush(stdout);
	line->library.set(line->edit, EL_REFRESH);
}

void line_resize(struct line *line)
{
	line->library.resize(line->edit);
}
