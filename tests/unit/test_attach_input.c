/* SPDX-License-Identifier: Apache-2.0 */
/* `cordon attach`: what the operator types or pastes, as characters, lines and words. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/cli/attach_encode.h"
#include "vmm/cli/attach_history.h"
#include "vmm/cli/attach_input.h"
#include "vmm/cli/attach_words.h"

/* --- lines ------------------------------------------------------------------------------------ */

START_TEST(lines_have_bounds)
{
	char *line = malloc(ENCODE_LINE_MAX + 2), *text;
	bool changed;
	struct err err;

	memset(line, 'x', ENCODE_LINE_MAX + 1);
	line[ENCODE_LINE_MAX + 1] = '\0';
	ck_assert_int_eq(encode_command(line, true, &text, &err), -E2BIG);
	line[ENCODE_LINE_MAX] = '\0';
	ck_assert_int_eq(encode_command(line, true, &text, &err), 0);
	free(text);
	ck_assert_int_eq(encode_more(line, true, &text, &changed, &err), -E2BIG);
	line[ENCODE_PLAIN_MAX] = '\0';
	ck_assert_int_eq(encode_more(line, true, &text, &changed, &err), 0);
	ck_assert_uint_eq(strlen(text), ENCODE_PLAIN_MAX + 1);
	free(text);
	free(line);
	ck_assert_int_eq(encode_more("a\003", true, &text, &changed, &err), -EINVAL);
	ck_assert_int_eq(encode_more("a\tb", true, &text, &changed, &err), 0);
	ck_assert_str_eq(text, "a\tb\n");
	ck_assert(!changed);
	free(text);
	ck_assert_int_eq(encode_more("a\tb", false, &text, &changed, &err), 0);
	ck_assert_str_eq(text, "a       b\n");
	ck_assert(changed);
	free(text);
}
END_TEST

/* --- words ------------------------------------------------------------------------------------ */

START_TEST(words_are_split)
{
	struct words words;
	struct err err;

	ck_assert_int_eq(words_split(&words, "  cp 'a b' \"c\\\"d\"e \\ f '' ", &err), 0);
	ck_assert_int_eq(words.count, 5);
	ck_assert_str_eq(words.word[0], "cp");
	ck_assert_str_eq(words.word[1], "a b");
	ck_assert_str_eq(words.word[2], "c\"de");
	ck_assert_str_eq(words.word[3], " f");
	ck_assert_str_eq(words.word[4], "");
	ck_assert_ptr_null(words.word[5]);
	words_free(&words);
	ck_assert_int_eq(words_split(&words, "", &err), 0);
	ck_assert_int_eq(words.count, 0);
	words_free(&words);
	ck_assert_int_eq(words_split(&words, "a 'b", &err), -EINVAL);
	words_free(&words);
}
END_TEST

START_TEST(words_have_a_bound)
{
	char line[2 * (WORDS_MAX + 1) + 1];
	struct words words;
	struct err err;
	int i;

	for (i = 0; i <= WORDS_MAX; i++)
		memcpy(line + 2 * i, "a ", 3);
	ck_assert_int_eq(words_split(&words, line, &err), -E2BIG);
	words_free(&words);
	line[2 * WORDS_MAX] = '\0';
	ck_assert_int_eq(words_split(&words, line, &err), 0);
	ck_assert_int_eq(words.count, WORDS_MAX);
	words_free(&words);
}
END_TEST

/* --- input ------------------------------------------------------------------------------------ */

static void feed(struct input *input, const char *bytes)
{
	input_feed(input, bytes, strlen(bytes));
}

START_TEST(typed_characters)
{
	struct input input = {.bytes = NULL};
	wchar_t c;

	setlocale(LC_CTYPE, "C.UTF-8");
	ck_assert_int_eq(input_next(&input, true, &c), 0);
	feed(&input, "a\303");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, L'a');
	ck_assert_int_eq(input_next(&input, false, &c), 0);
	feed(&input, "\244\377\033");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, 0xe4);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, 0xff);
	/* A lone escape character counts when nothing has followed. */
	ck_assert_int_eq(input_next(&input, false, &c), 0);
	ck_assert(input_is_partial(&input));
	ck_assert_int_eq(input_next(&input, true, &c), 1);
	ck_assert_int_eq(c, 033);
	input_free(&input);
}
END_TEST

START_TEST(pasted_text_goes_to_the_editor_only)
{
	struct input input = {.bytes = NULL};
	char text[16];
	wchar_t c;

	setlocale(LC_CTYPE, "C.UTF-8");
	feed(&input, "xy" PASTE_BEGIN "a\tb\003\ncd" PASTE_END "z");
	/* What was typed before and after it is for the program that runs. */
	ck_assert_uint_eq(input_take(&input, false, text, sizeof(text)), 3);
	ck_assert_int_eq(memcmp(text, "xyz", 3), 0);
	ck_assert_uint_eq(input_take(&input, false, text, sizeof(text)), 0);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, INPUT_PASTED);
	input_take_pasted(&input, text, sizeof(text));
	ck_assert_str_eq(text, "a\tb\003");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, L'\n');
	/* While that line's command runs, the next one waits. */
	ck_assert_uint_eq(input_take(&input, false, text, sizeof(text)), 0);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	input_take_pasted(&input, text, sizeof(text));
	ck_assert_str_eq(text, "cd");
	ck_assert_int_eq(input_next(&input, false, &c), 0);
	feed(&input, "w");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, L'w');
	input_free(&input);
}
END_TEST

/* vi and others request bracketed paste themselves: they get it whole, and nothing is left. */
START_TEST(pasted_text_for_a_program)
{
	struct input input = {.bytes = NULL};
	char text[64];
	wchar_t c;

	feed(&input, "x" PASTE_BEGIN ":policy undo\ny" PASTE_END "z");
	ck_assert_uint_eq(input_take(&input, true, text, sizeof(text)), input.end);
	ck_assert_int_eq(memcmp(text, "x" PASTE_BEGIN ":policy undo\ny" PASTE_END "z", input.end),
			 0);
	ck_assert_int_eq(input_next(&input, true, &c), 0);
	input_free(&input);
}
END_TEST

/* The editor's caller can tell a newline that was pasted from one that was typed. */
START_TEST(pasted_ends_of_lines)
{
	struct input input = {.bytes = NULL};
	wchar_t c;

	feed(&input, PASTE_BEGIN "\n" PASTE_END "\r");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert(input.pasted_end);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert(!input.pasted_end);
	input_free(&input);
}
END_TEST

/* Long pasted lines come in parts that end with whole characters. */
START_TEST(pasted_characters_stay_whole)
{
	struct input input = {.bytes = NULL};
	char text[6], whole[64] = "";
	wchar_t c;
	int i;

	setlocale(LC_CTYPE, "C.UTF-8");
	feed(&input, PASTE_BEGIN "\303\244\303\244\303\244a\342\202\254\342\202\254");
	for (i = 0; i < 20 && input_next(&input, false, &c); i++) {
		input_take_pasted(&input, text, sizeof(text));
		ck_assert_int_ne(mbstowcs(NULL, text, 0), -1);
		strcat(whole, text);
	}
	ck_assert_str_eq(whole, "\303\244\303\244\303\244a\342\202\254\342\202\254");
	input_free(&input);
}
END_TEST

START_TEST(input_is_bounded)
{
	struct input input = {.bytes = NULL};
	char block[65536];
	unsigned i;

	memset(block, 'x', sizeof(block));
	ck_assert(!input_is_full(&input));
	for (i = 0; i < 2 * (INPUT_MAX / sizeof(block)); i++)
		input_feed(&input, block, sizeof(block));
	ck_assert(input_is_full(&input));
	ck_assert_uint_eq(input.end - input.at, INPUT_MAX);
	input_free(&input);
}
END_TEST

static void feed_lines(struct input *input, size_t length)
{
	static const char line[] = "echo 0123456789 \003\r";
	size_t i;

	for (i = 0; i < length; i++)
		feed(input, (char[]){line[i % (sizeof(line) - 1)], '\0'});
}

/* Nothing of a megabyte is lost, and none of it is a key or for a program. */
START_TEST(a_megabyte_is_pasted)
{
	struct input input = {.bytes = NULL};
	size_t length = 18 * 60000, lines = 0;
	char text[64];
	wchar_t c;

	feed(&input, PASTE_BEGIN);
	ck_assert(input.feeding);
	feed_lines(&input, length);
	feed(&input, PASTE_END);
	ck_assert(!input.feeding && !input.overflowed && !input_is_full(&input));
	ck_assert_uint_le(input.size, 2 * length);
	feed(&input, "k");
	ck_assert_uint_eq(input_take(&input, false, text, sizeof(text)), 1);
	ck_assert_int_eq(text[0], 'k');
	while (input_next(&input, false, &c)) {
		ck_assert_int_eq(c, INPUT_PASTED);
		input_take_pasted(&input, text, sizeof(text));
		ck_assert_str_eq(text, "echo 0123456789 \003");
		ck_assert_int_eq(input_next(&input, false, &c), 1);
		ck_assert(c == L'\n' && input.pasted_end);
		lines++;
	}
	ck_assert_uint_eq(lines, length / 18);
	input_free(&input);
}
END_TEST

/* Of a paste that does not fit nothing is left; the next one, and keys, are as ever. */
START_TEST(a_paste_is_too_long)
{
	struct input input = {.bytes = NULL};
	char text[16];
	wchar_t c;

	feed(&input, "a" PASTE_BEGIN);
	feed_lines(&input, 2 * INPUT_MAX);
	ck_assert(input.overflowed && input.feeding);
	ck_assert_uint_le(input.size, 2 * INPUT_MAX);
	ck_assert_int_eq(input_next(&input, true, &c), 0);
	feed(&input, "\033[201x" PASTE_END "b" PASTE_BEGIN "c\n" PASTE_END);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, L'b');
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, INPUT_PASTED);
	input_take_pasted(&input, text, sizeof(text));
	ck_assert_str_eq(text, "c");
	/* One that just fits. */
	input_drop_pasted(&input);
	input.overflowed = false;
	feed(&input, PASTE_BEGIN);
	feed_lines(&input, INPUT_MAX - strlen(PASTE_BEGIN PASTE_END));
	feed(&input, PASTE_END);
	ck_assert(!input.overflowed && !input.feeding);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	input_free(&input);
}
END_TEST

START_TEST(waiting_pastes_are_dropped)
{
	struct input input = {.bytes = NULL};
	wchar_t c;

	/* Without pasted text, typed text stays. */
	feed(&input, "ab");
	ck_assert_uint_eq(input_drop_pasted(&input), 0);
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	feed(&input, PASTE_BEGIN "x\ny\n" PASTE_END "c");
	ck_assert_uint_eq(input_drop_pasted(&input), 1 + 6 + 4 + 6 + 1);
	ck_assert_int_eq(input_next(&input, true, &c), 0);
	/* In the middle of one, and the rest of it when it comes. */
	feed(&input, PASTE_BEGIN "x\n");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_uint_eq(input_drop_pasted(&input), 2);
	feed(&input, ":policy undo\n" PASTE_END "d");
	ck_assert_int_eq(input_next(&input, true, &c), 1);
	ck_assert_int_eq(c, L'd');
	ck_assert_int_eq(input_next(&input, true, &c), 0);
	input_free(&input);
}
END_TEST

/* The character that stands for pasted text cannot be typed. */
START_TEST(a_typed_paste_mark)
{
	struct input input = {.bytes = NULL};
	wchar_t c;

	feed(&input, "\034\034a");
	ck_assert_int_eq(input_next(&input, false, &c), 1);
	ck_assert_int_eq(c, L'a');
	ck_assert_int_eq(input_next(&input, false, &c), 0);
	input_free(&input);
}
END_TEST

/* --- history ---------------------------------------------------------------------------------- */

static unsigned entries;
static char last[64];

static void count_entry(void *arg, const char *text)
{
	ck_assert_ptr_eq(arg, &entries);
	ck_assert_uint_lt(strlen(text), sizeof(last));
	strcpy(last, text);
	entries++;
}

/* Of a file that is full, the newest half is kept, in whole lines. */
START_TEST(history_keeps_the_newest)
{
	char file[] = "/tmp/cordon-history-XXXXXX", text[64];
	unsigned i, whole = HISTORY_MAX / 16;
	struct stat status;
	int fd = mkstemp(file);

	ck_assert_int_ge(fd, 0);
	close(fd);
	history_append(file, "one");
	history_load(file, count_entry, &entries);
	ck_assert_uint_eq(entries, 1);
	ck_assert_str_eq(last, "one");
	for (i = 0; i < whole + 100; i++) {
		snprintf(text, sizeof(text), "line %010u", i);
		history_append(file, text);
	}
	stat(file, &status);
	ck_assert_int_ge(status.st_size, HISTORY_MAX);
	ck_assert_int_le(status.st_size, HISTORY_MAX + 16);
	entries = 0;
	history_load(file, count_entry, &entries);
	ck_assert_uint_ge(entries, whole / 2 - 2);
	ck_assert_uint_le(entries, whole / 2 + 2);
	stat(file, &status);
	ck_assert_int_le(status.st_size, HISTORY_MAX / 2);
	history_append(file, "new");
	history_load(file, count_entry, &entries);
	ck_assert_str_eq(last, "new");
	unlink(file);
}
END_TEST

UNIT_MAIN("attach_input", lines_have_bounds, words_are_split, words_have_a_bound, typed_characters,
	  pasted_text_goes_to_the_editor_only, pasted_text_for_a_program, pasted_ends_of_lines,
	  pasted_characters_stay_whole, input_is_bounded, a_megabyte_is_pasted, a_paste_is_too_long,
	  waiting_pastes_are_dropped, a_typed_paste_mark, history_keeps_the_newest)
