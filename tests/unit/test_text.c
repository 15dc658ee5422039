/* SPDX-License-Identifier: Apache-2.0 */
/* Text of others on a terminal: what it may be, and what is left of the rest. */
#include "vmm/base/text.h"

#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <string.h>
#include <termios.h>

#include "tests/support/unit.h"
#include "vmm/base/utf8.h"
#include "vmm/machine/console.h"

#define SAFE(from, keep) safe(from, sizeof(from) - 1, keep)

static const char *safe(const char *from, size_t length, unsigned keep)
{
	static char to[4096];
	/* What lies behind the text is not looked at: a copy that ends there, for ASan. */
	char *copy = malloc(length + !length);

	memcpy(copy, from, length);
	ck_assert_uint_eq(text_safe(to, sizeof(to), copy, length, keep), strlen(to));
	ck_assert_int_eq(text_is_safe(copy, length, keep),
			 strlen(to) == length && memcmp(to, from, length) == 0);
	/* What is harmless stays as it is. */
	ck_assert(text_is_safe(to, strlen(to), keep));
	free(copy);
	return to;
}

START_TEST(plain_text_stays)
{
	static const char *const plain[] = {
		"",
		"a",
		"a b\\x1b",
		"gr\303\274n",
		"\316\261\316\262",
		"\346\227\245\346\234\254",
		"\360\237\230\200",
		"\330\247\331\204",
		"\327\220",
		"e\314\201",
		"\303\277",
		"~",
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(plain); i++) {
		ck_assert_str_eq(safe(plain[i], strlen(plain[i]), 0), plain[i]);
		ck_assert(text_is_safe(plain[i], strlen(plain[i]), 0));
	}
}
END_TEST

START_TEST(controls_are_spelled_out)
{
	ck_assert_str_eq(SAFE("\033[2J\a\r\n\b\t\177", 0),
			 "\\x1b[2J\\x07\\x0d\\x0a\\x08\\x09\\x7f");
	ck_assert_str_eq(SAFE("a\0b", 0), "a\\x00b");
	/* C1: as characters and as bytes. */
	ck_assert_str_eq(SAFE("\302\233"
			      "2J \302\200\302\237\302\240",
			      0),
			 "\\u009b2J \\u0080\\u009f\302\240");
	ck_assert_str_eq(SAFE("\233"
			      "2J\220q\234",
			      0),
			 "\\x9b2J\\x90q\\x9c");
	/* Bidirectional controls, separators, what does not show. */
	ck_assert_str_eq(SAFE("\330\234\342\200\216\342\200\217", 0), "\\u061c\\u200e\\u200f");
	ck_assert_str_eq(SAFE("\342\200\252\342\200\256\342\201\246\342\201\251", 0),
			 "\\u202a\\u202e\\u2066\\u2069");
	ck_assert_str_eq(SAFE("\342\200\250\342\200\251", 0), "\\u2028\\u2029");
	ck_assert_str_eq(SAFE("\342\200\213\357\273\277\302\255", 0), "\\u200b\\ufeff\\u00ad");
	ck_assert_str_eq(SAFE("\360\233\262\240\360\233\262\237", 0),
			 "\\U0001bca0\360\233\262\237");
	ck_assert_str_eq(SAFE("\363\240\201\201", 0), "\\U000e0041");
	/* Their neighbours are ordinary. */
	ck_assert_str_eq(SAFE("\342\200\212\342\200\220\342\200\257", 0),
			 "\342\200\212\342\200\220\342\200\257");
}
END_TEST

START_TEST(what_is_meant_stays)
{
	static const char all[] = "a\tb\nc\rd\be\033f";

	ck_assert_str_eq(SAFE(all, TEXT_TABS), "a\tb\\x0ac\\x0dd\\x08e\\x1bf");
	ck_assert_str_eq(SAFE(all, TEXT_LINES), "a\tb\nc\\x0dd\\x08e\\x1bf");
	ck_assert_str_eq(SAFE(all, TEXT_CONSOLE), "a\tb\nc\rd\be\\x1bf");
	ck_assert_str_eq(SAFE(all, TEXT_JSON), "a\tb\nc\\u000dd\\u0008e\\u001bf");
}
END_TEST

START_TEST(what_is_no_utf8_is_spelled_out_byte_by_byte)
{
	/* Cut at the end of the text, after each byte. */
	ck_assert_str_eq(SAFE("a\303", 0), "a\\xc3");
	ck_assert_str_eq(SAFE("a\342\200", 0), "a\\xe2\\x80");
	ck_assert_str_eq(SAFE("a\360\237\230", 0), "a\\xf0\\x9f\\x98");
	/* Cut in the middle: what follows is itself again. */
	ck_assert_str_eq(SAFE("\342\200x", 0), "\\xe2\\x80x");
	ck_assert_str_eq(SAFE("\303\303\274", 0), "\\xc3\303\274");
	/* Overlong: a slash, ESC, and a C1 control. */
	ck_assert_str_eq(SAFE("\300\257", 0), "\\xc0\\xaf");
	ck_assert_str_eq(SAFE("\300\233", 0), "\\xc0\\x9b");
	ck_assert_str_eq(SAFE("\340\200\233", 0), "\\xe0\\x80\\x9b");
	ck_assert_str_eq(SAFE("\340\202\233", 0), "\\xe0\\x82\\x9b");
	ck_assert_str_eq(SAFE("\360\200\200\233", 0), "\\xf0\\x80\\x80\\x9b");
	/* Surrogates, beyond Unicode, bytes that never are. */
	ck_assert_str_eq(SAFE("\355\240\200\355\277\277", 0), "\\xed\\xa0\\x80\\xed\\xbf\\xbf");
	ck_assert_str_eq(SAFE("\364\220\200\200", 0), "\\xf4\\x90\\x80\\x80");
	ck_assert_str_eq(SAFE("\365\376\377", 0), "\\xf5\\xfe\\xff");
}
END_TEST

START_TEST(a_small_buffer_holds_whole_characters)
{
	static const char from[] = "ab\033\303\274";
	static const char *const expected[] = {
		"", "a", "ab", "ab", "ab", "ab", "ab\\x1b", "ab\\x1b", "ab\\x1b\303\274"};
	char to[16];
	size_t size;

	for (size = 1; size <= 9; size++) {
		memset(to, '#', sizeof(to));
		ck_assert_uint_eq(text_safe(to, size, from, sizeof(from) - 1, 0),
				  strlen(expected[size - 1]));
		ck_assert_str_eq(to, expected[size - 1]);
		ck_assert_int_eq(to[size], '#');
	}
}
END_TEST

/* However a stream is cut, the same comes out. */
START_TEST(streams_do_not_depend_on_how_they_are_cut)
{
	static const char from[] =
		"x\342\200\256y\033\360\237\230\200\303\303\274\342\200"
		"z\355\240\200\364\200\302\233\340\237\200\363\240\201\201\342\200";
	const size_t length = sizeof(from) - 1;
	size_t a, b, used;
	char to[1024], whole[1024];

	text_safe(whole, sizeof(whole), from, length, TEXT_CONSOLE);
	for (a = 0; a <= length; a++)
		for (b = a; b <= length; b++) {
			struct text_stream stream = {.keep = TEXT_CONSOLE};

			used = text_stream(&stream, from, a, to);
			used += text_stream(&stream, from + a, b - a, to + used);
			used += text_stream(&stream, from + b, length - b, to + used);
			used += text_stream_end(&stream, to + used);
			to[used] = '\0';
			ck_assert_str_eq(to, whole);
		}
	/* All bytes of a segment at their longest fit. */
	{
		struct text_stream stream = {.keep = TEXT_JSON};
		char bad[TEXT_STREAM_CHUNK], made[TEXT_ROOM(TEXT_STREAM_CHUNK + 3)];

		memset(bad, 0xff, sizeof(bad));
		ck_assert_uint_eq(text_stream(&stream, "\360\237\230", 3, made), 0);
		ck_assert_uint_eq(text_stream(&stream, bad, sizeof(bad), made),
				  6 * (sizeof(bad) + 3));
	}
}
END_TEST

/* No sequence of up to four bytes gets a control through. */
START_TEST(all_short_texts_are_harmless)
{
	static const uint8_t byte[] = {0x00, 0x1b, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9b, 0x9f,
				       0xa0, 0xad, 0xae, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xe2,
				       0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xff, 0xbb, 0x9c};
	char from[4], to[64];
	unsigned i, k, number;
	size_t length, at, taken;
	uint32_t value;

	for (i = 0; i < 27 * 27 * 27 * 27; i++) {
		for (number = i, k = 0; k < 4; k++, number /= 27)
			from[k] = (char)byte[number % 27];
		length = text_safe(to, sizeof(to), from, 4, 0);
		for (at = 0; at < length; at += taken) {
			taken = utf8_length(to + at, length - at);
			value = taken ? utf8_value(to + at, taken) : 0;
			/* An assertion for each would take minutes. */
			if (value < 0x20 || (value >= 0x7f && value < 0xa0) ||
			    (value >= 0x202a && value <= 0x202e) || value == 0x2028)
				ck_abort_msg("%08x: U+%04x", i, value);
		}
	}
}
END_TEST

START_TEST(json_means_the_same)
{
	const char *name = "a\033\302\233\342\200\256\177\363\240\201\201\303\274";
	json_t *json = json_pack("{s:s}", "name", name), *again;
	char *dumped = json_dumps(json, JSON_INDENT(2)), made[512];

	text_safe(made, sizeof(made), dumped, strlen(dumped), TEXT_JSON);
	ck_assert_ptr_nonnull(strstr(made, "\\u202e\\u007f\\udb40\\udc41\303\274"));
	again = json_loads(made, 0, NULL);
	ck_assert_ptr_nonnull(again);
	ck_assert(json_equal(json, again));
	json_decref(json);
	json_decref(again);
	free(dumped);
}
END_TEST

/* --- printing --------------------------------------------------------------------------------- */

START_TEST(a_line_is_one_line)
{
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	text_line(to, "%s\t%d", "a\nforged\033", 7);
	text_put(to, "b\tc\n");
	fclose(to);
	ck_assert_str_eq(text, "a\\x0aforged\\x1b\t7\nb\\x09c\\x0a");
	free(text);
}
END_TEST

/* What arrives at the other end of a descriptor that stream writes to. */
static const char *got(int fd)
{
	static char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void make_terminal(int *other, int *terminal)
{
	struct termios termios;

	ck_assert_int_eq(openpty(other, terminal, NULL, NULL, NULL), 0);
	ck_assert_int_eq(tcgetattr(*terminal, &termios), 0);
	cfmakeraw(&termios);
	tcsetattr(*terminal, TCSANOW, &termios);
}

START_TEST(only_a_terminal_is_spared)
{
	static const char text[] = "a\033[2Jb\n";
	int other, terminal, pipes[2];
	FILE *to;

	make_terminal(&other, &terminal);
	to = fdopen(terminal, "w");
	text_write(to, text, strlen(text), TEXT_LINES);
	fclose(to);
	ck_assert_str_eq(got(other), "a\\x1b[2Jb\n");
	ck_assert_int_eq(pipe(pipes), 0);
	to = fdopen(pipes[1], "w");
	text_write(to, text, strlen(text), TEXT_LINES);
	fclose(to);
	ck_assert_str_eq(got(pipes[0]), text);
}
END_TEST

static const char *console_shows(bool terminal, bool exact, const char *first, const char *second)
{
	struct console console;
	struct loop *loop;
	int fd[2];

	if (terminal)
		make_terminal(&fd[0], &fd[1]);
	else
		ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(console_init(&console, loop, fd[1]), 0);
	if (exact)
		console_show_exactly(&console);
	console_output(&console, (const uint8_t *)first, strlen(first));
	console_output(&console, (const uint8_t *)second, strlen(second));
	console_destroy(&console);
	loop_destroy(loop);
	/* The terminal stays open: what was written to it is lost with the last close. */
	return got(fd[0]);
}

START_TEST(a_console_does_not_command_a_terminal)
{
	ck_assert_str_eq(console_shows(true, false, "a\033[2J\rb\b\t\303", "\274\233\n"),
			 "a\\x1b[2J\rb\b\t\303\274\\x9b\n");
	ck_assert_str_eq(console_shows(true, false, "a", "\342\200"), "a\\xe2\\x80");
	ck_assert_str_eq(console_shows(true, true, "a\033[2J\r", "\233\n"), "a\033[2J\r\233\n");
	ck_assert_str_eq(console_shows(false, false, "a\033[2J\r", "\233\n"), "a\033[2J\r\233\n");
}
END_TEST

UNIT_MAIN("text", plain_text_stays, controls_are_spelled_out, what_is_meant_stays,
	  what_is_no_utf8_is_spelled_out_byte_by_byte, a_small_buffer_holds_whole_characters,
	  streams_do_not_depend_on_how_they_are_cut, all_short_texts_are_harmless,
	  json_means_the_same, a_line_is_one_line, only_a_terminal_is_spared,
	  a_console_does_not_command_a_terminal)
