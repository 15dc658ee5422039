/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of command lines: long options, letters, words between them, help, suggestions. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/base/nearest.h"
#include "vmm/launch/options.h"

static struct values {
	bool tty, input;
	const char *directory, *list[2];
	size_t listed;
	unsigned times;
} values;

static int add(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct values *)arg)->times++;
	return 0;
}

static const struct option_entry entries[] = {
	{"tty", 't', OPTION_FLAG, NULL, "", .offset = offsetof(struct values, tty)},
	{"interactive", 'i', OPTION_FLAG, NULL, "", .offset = offsetof(struct values, input)},
	{"workdir", 'w', OPTION_STRING, "DIR", "", .offset = offsetof(struct values, directory)},
	{"volume", 'v', OPTION_LIST, "V", "", .offset = offsetof(struct values, list),
	 .count_offset = offsetof(struct values, listed), .high = 2},
	{"again", 'a', OPTION_CALL, NULL, "", .set = add},
};
static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};
static const struct option_set set = {&table, &values};
static char *arguments[16];
static struct err err;
static const char *name;

static int begin(const char *const *words)
{
	int count;

	values = (struct values){.tty = false};
	err.text[0] = '\0';
	for (count = 0; words[count]; count++)
		arguments[count] = (char *)(uintptr_t)words[count];
	return count;
}

#define PARSE(...) options_parse(&set, 1, begin(WORDS(__VA_ARGS__)), arguments, &err)
#define NAME(...)  options_parse_name(&set, 1, begin(WORDS(__VA_ARGS__)), arguments, &name, &err)
#define ALL(...)   options_parse_words(&set, 1, begin(WORDS(__VA_ARGS__)), arguments, &err)
#define WORDS(...) ((const char *const[]){"verb", __VA_ARGS__, NULL})

START_TEST(letters_can_be_combined)
{
	ck_assert_int_eq(PARSE("-it", "sh"), 2);
	ck_assert(values.tty && values.input);
	ck_assert_int_eq(PARSE("-aaa"), 2);
	ck_assert_uint_eq(values.times, 3);
	ck_assert_int_eq(PARSE("-tw/tmp", "x"), 2);
	ck_assert_str_eq(values.directory, "/tmp");
	ck_assert(values.tty);
	ck_assert_int_eq(PARSE("-tw", "/srv", "x"), 3);
	ck_assert_str_eq(values.directory, "/srv");
	ck_assert_int_eq(PARSE("-tw"), -EINVAL);
	ck_assert_str_eq(err.text, "verb: --workdir needs a value (DIR)");
	ck_assert_int_eq(PARSE("-tx"), -EINVAL);
	ck_assert_str_eq(err.text, "verb: unknown option -x: see 'cordon help verb'");
}
END_TEST

START_TEST(words_stand_between_options)
{
	ck_assert_int_eq(ALL("one", "-t", "two", "--workdir=/x", "three"), 3);
	ck_assert_str_eq(arguments[1], "one");
	ck_assert_str_eq(arguments[2], "two");
	ck_assert_str_eq(arguments[3], "three");
	ck_assert(values.tty);
	ck_assert_str_eq(values.directory, "/x");
	/* Behind "--" nothing is an option. */
	ck_assert_int_eq(ALL("-", "--", "-t", "--"), 3);
	ck_assert_str_eq(arguments[1], "-");
	ck_assert_str_eq(arguments[2], "-t");
	ck_assert(!values.tty);
	ck_assert_int_eq(ALL("-v", "a", "-v", "b"), 0);
	ck_assert_uint_eq(values.listed, 2);
	ck_assert_int_eq(ALL("-va", "-vb", "-vc"), -EINVAL);
	ck_assert_str_eq(err.text, "verb: --volume: given more than 2 times");
}
END_TEST

START_TEST(options_stand_before_and_after_a_name)
{
	ck_assert_int_eq(NAME("-t", "box", "-i", "--", "ls", "-a"), 5);
	ck_assert_str_eq(name, "box");
	ck_assert(values.tty && values.input);
	ck_assert_str_eq(arguments[5], "ls");
	ck_assert_uint_eq(values.times, 0);
	ck_assert_int_eq(NAME("box", "ls", "-t"), 2);
	ck_assert(!values.tty);
	ck_assert_int_eq(NAME("--", "box", "--", "ls"), 4);
	ck_assert_int_eq(NAME("--", "box", "-t"), 3); /* the command's word */
	ck_assert(!values.tty);
	ck_assert_int_eq(NAME("-t"), 2);
	ck_assert_ptr_null(name);
}
END_TEST

START_TEST(help_is_an_option_of_every_verb)
{
	ck_assert_int_eq(PARSE("-h"), OPTIONS_HELP);
	ck_assert_int_eq(PARSE("-th"), OPTIONS_HELP);
	ck_assert_int_eq(PARSE("--help"), OPTIONS_HELP);
	ck_assert_int_eq(ALL("box", "--help"), OPTIONS_HELP);
	/* A command's own is none of it, and a value is a value. */
	ck_assert_int_eq(PARSE("ls", "--help"), 1);
	ck_assert_int_eq(NAME("box", "--", "ls", "-h"), 3);
	ck_assert_int_eq(PARSE("-w", "-h"), 3);
	ck_assert_str_eq(values.directory, "-h");
}
END_TEST

START_TEST(a_suggestion_is_a_slip_away)
{
	static const char *const words[] = {"kill", "stop", "help", "fork", "stats", "policy", "t"};
	static const struct {
		const char *word, *near;
	} cases[] = {
		{"klil", "kill"},   {"kil", "kill"},	{"killl", "kill"},    {"STOP", "stop"},
		{"stast", "stats"}, {"plcy", "policy"}, {"polciy", "policy"}, {"pulicie", NULL},
		{"pull", NULL},	    {"sta", "stats"},	{"st", NULL},	      {"pol", "policy"},
		{"top", "stop"},    {"shell", NULL},	{"foo", NULL},	      {"x", NULL},
		{"", NULL},
	};
	size_t i;
	const char *near;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		near = nearest_word(cases[i].word, words, ARRAY_SIZE(words));
		if (!cases[i].near)
			ck_assert_msg(!near, "%s: %s", cases[i].word, near);
		else
			ck_assert_msg(near && strcmp(near, cases[i].near) == 0, "%s: %s",
				      cases[i].word, near);
	}
}
END_TEST

UNIT_MAIN("options", letters_can_be_combined, words_stand_between_options,
	  options_stand_before_and_after_a_name, help_is_an_option_of_every_verb,
	  a_suggestion_is_a_slip_away)
