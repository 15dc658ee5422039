/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of `cordon top`, the percentages in them, and its reading of the audit log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/utf8.h"
#include "vmm/cli/top_page.h"
#include "vmm/cli/top_view.h"

/* --- pages ------------------------------------------------------------------------------------ */

static char *page_of(const json_t *data, unsigned rows, unsigned columns)
{
	char *text = top_page(data, (struct top_size){.rows = rows, .columns = columns});

	ck_assert_ptr_nonnull(text);
	return text;
}

static void expect_page(const json_t *data, unsigned rows, unsigned columns, const char *expected)
{
	char *text = page_of(data, rows, columns);

	ck_assert_str_eq(text, expected);
	free(text);
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		count++;
	return count;
}

/*
 * The page has no more lines, and no line is wider, even if all but ASCII takes two columns. One
 * assertion a line of text: check(3) sends its parent a message for each, and pages are many.
 */
static void check_size(const json_t *data, unsigned rows, unsigned columns)
{
	char *text = page_of(data, rows, columns);
	size_t at, taken, left = strlen(text);
	unsigned width = 0, lines = 0;
	bool valid = true;

	for (at = 0; at < left; at += taken) {
		taken = utf8_length(text + at, left - at);
		if (taken == 0)
			break;
		if (text[at] == '\n') {
			ck_assert(valid);
			ck_assert_uint_le(width, columns);
			lines++;
			width = 0;
			continue;
		}
		valid = valid && (taken > 1 || (text[at] >= ' ' && text[at] < 0x7f));
		width += taken > 1 ? 2 : 1;
	}
	ck_assert_uint_eq(at, left);
	ck_assert_uint_eq(width, 0);
	ck_assert_uint_le(lines, rows);
	free(text);
}

static json_t *load(const char *text)
{
	json_error_t why;
	json_t *json = json_loads(text, 0, &why);

	ck_assert_msg(json != NULL, "%s", why.text);
	return json;
}

static json_t *full_data(void)
{
	return load("{\"name\":\"box\",\"state\":\"running\",\"age\":3723,\"cpu_percent\":12.5,"
		    "\"cpus\":2,\"private_kib\":123456,\"memory\":536870912,\"jobs\":1,"
		    "\"net_flows\":1,\"net_refused\":7,\"net_flooded\":2,\"processes_truncated\":"
		    "true,\"processes\":["
		    "{\"pid\":12,\"parent\":1,\"uid\":1000,\"state\":\"R\",\"cpu_percent\":99.9,"
		    "\"cpu_us\":61230000,\"resident_kib\":2048,\"command\":\"sh -c x\","
		    "\"is_name\":false},"
		    "{\"pid\":1,\"parent\":0,\"uid\":0,\"state\":\"S\",\"cpu_us\":0,"
		    "\"resident_kib\":0,\"command\":\"sandbox\",\"is_name\":true}],"
		    "\"denials\":[{\"time\":\"2026-11-29T11:47:49.5Z\",\"class\":\"file\","
		    "\"op\":\"write\",\"count\":3,\"rule\":\"/a/long/path/of/the/host.policy:17\","
		    "\"object\":\"/w/.git/hooks/x\"},"
		    "{\"time\":\"2026-11-29T11:47:50Z\",\"class\":\"net\",\"op\":\"connect\","
		    "\"count\":1,\"rule\":\"p:2\",\"protocol\":\"tls\",\"address\":\"192.0.2.1\","
		    "\"port\":443,\"name\":\"evil.example\"}],"
		    "\"flows\":[{\"protocol\":\"tcp\",\"direction\":\"out\",\"address\":"
		    "\"192.0.2.7\",\"port\":80,\"bytes_out\":100,\"bytes_in\":1048576,"
		    "\"age_ms\":61000,\"rule\":\"p:1\",\"name\":\"good.example\"}],"
		    "\"files\":[{\"time\":\"2026-11-29T11:47:48Z\",\"op\":\"attributes\","
		    "\"object\":\"/w/a\",\"other\":\"/w/b\"}]}");
}

START_TEST(a_page_has_all_that_is_known)
{
	static const char expected[] =
		"box  running  up 1h02m  cpu 12.5% of 2  memory 121M of 512M  jobs 1  processes 2+ "
		" flows 1  refused 7  beyond rates 2\n"
		"\n"
		"    PID  PARENT   UID S   CPU%      TIME  MEMORY  COMMAND\n"
		"     12       1  1000 R   99.9   1:01.23    2.0M  sh -c x\n"
		"      1       0     0 S      -   0:00.00      0B  [sandbox]\n"
		"\n"
		"DENIED                   TIMES RULE                         OBJECT\n"
		"11:47:49 file write          3 g/path/of/the/host.policy:17 /w/.git/hooks/x\n"
		"11:47:50 net  connect        1 p:2                          tls 192.0.2.1:443 "
		"evil.example\n"
		"\n"
		"FLOW     ADDRESS                   SENT RECEIVED     AGE RULE                     "
		" "
		"   NAME\n"
		"tcp  out 192.0.2.7:80              100B     1.0M   1m01s p:1                      "
		" "
		"   good.example\n"
		"\n"
		"TOUCHED             FILE\n"
		"11:47:48 attributes /w/a -> /w/b\n";
	json_t *data = full_data();

	expect_page(data, 0, 0, expected);
	json_decref(data);
}
END_TEST

START_TEST(a_page_fits_every_screen)
{
	json_t *data = full_data(), *item = json_array_get(json_object_get(data, "processes"), 0);
	char command[6 * 40 + 1] = "";
	unsigned rows, columns;
	int i;

	/* wide ones, as many as a guest may send */
	for (i = 0; i < 40; i++)
		strcat(command, "\xe4\xb8\xad\xc3\xa4");
	json_object_set_new(item, "command", json_string(command));
	for (i = 0; i < 60; i++)
		json_array_append(json_object_get(data, "processes"), item);
	for (rows = 1; rows < 40; rows++)
		for (columns = 1; columns < 200; columns += rows % 3 + 1)
			check_size(data, rows, columns);
	json_decref(data);
}
END_TEST

START_TEST(a_screen_is_filled_and_shared)
{
	json_t *data = full_data(), *processes = json_object_get(data, "processes");
	char *text;
	int i;

	for (i = 0; i < 100; i++)
		json_array_append(processes, json_array_get(processes, 0));
	/* all of the others, and 11 processes, the second of which has another name */
	text = page_of(data, 24, 0);
	ck_assert_uint_eq(count_of(text, "\n"), 24);
	ck_assert_uint_eq(count_of(text, "sh -c x"), 10);
	ck_assert_uint_eq(count_of(text, "evil.example"), 1);
	ck_assert_uint_eq(count_of(text, "good.example"), 1);
	ck_assert_uint_eq(count_of(text, "/w/a"), 1);
	free(text);
	/* no title without a row */
	text = page_of(data, 6, 0);
	ck_assert_uint_eq(count_of(text, "sh -c x"), 2);
	ck_assert_uint_eq(count_of(text, "DENIED"), 0);
	free(text);
	json_decref(data);
}
END_TEST

START_TEST(words_of_the_guest_are_harmless)
{
	json_t *data = full_data(), *item = json_array_get(json_object_get(data, "processes"), 0);
	char *text;

	json_object_set_new(item, "command", json_string("a\x1b[2J\nb\xe2\x80\xae\xc2\x9b"));
	json_object_set_new(item, "state", json_string("\x1b"));
	json_object_set_new(json_array_get(json_object_get(data, "files"), 0), "object",
			    json_string("/w/\r\x07x"));
	json_object_set_new(json_array_get(json_object_get(data, "flows"), 0), "name",
			    json_string("\x1b]0;x"));
	json_object_set_new(json_array_get(json_object_get(data, "denials"), 0), "object",
			    json_string("/w/\x1b[H"));
	text = page_of(data, 0, 0);
	ck_assert_uint_eq(count_of(text, "\n"), 15);
	ck_assert_uint_eq(count_of(text, "a\\x1b[2J\\x0ab\\u202e\\u009b\n"), 1);
	ck_assert_uint_eq(count_of(text, "/w/\\x0d\\x07x"), 1);
	ck_assert_uint_eq(count_of(text, "\\x1b]0;x\n"), 1);
	ck_assert_uint_eq(count_of(text, "/w/\\x1b[H\n"), 1);
	ck_assert_uint_eq(count_of(text, "\x1b"), 0);
	free(text);
	json_decref(data);
}
END_TEST

START_TEST(what_is_missing_is_shown_as_missing)
{
	json_t *data = load("{\"name\":\"box\",\"state\":\"hangs\",\"processes_error\":"
			    "\"the sandbox is\\u001b paused\",\"processes\":[]}");

	expect_page(data, 0, 0,
		    "box  hangs  up -  cpu -% of 0  memory - of -  jobs 0  processes 0\n"
		    "\n"
		    "    PID  PARENT   UID S   CPU%      TIME  MEMORY  COMMAND\n"
		    "the sandbox is\\x1b paused\n");
	json_decref(data);
	data = load("{}");
	expect_page(data, 24, 80, "-  -  up -  cpu -% of 0  memory - of -  jobs 0\n");
	json_decref(data);
	/* numbers that no guest has */
	data = load("{\"age\":-5,\"private_kib\":9223372036854775807,\"memory\":-1,\"processes\":"
		    "[{\"cpu_us\":9223372036854775807,\"resident_kib\":9223372036854775807,"
		    "\"pid\":9223372036854775807}]}");
	check_size(data, 10, 70);
	json_decref(data);
}
END_TEST

START_TEST(all_sandboxes_are_a_line_each)
{
	json_t *data =
		load("{\"sandboxes\":[{\"name\":\"one\",\"state\":\"running\",\"age\":59,"
		     "\"cpu_percent\":3,\"private_kib\":100,\"memory\":268435456,"
		     "\"memory_percent\":12.5,\"cpus\":1,\"jobs\":2,\"net_flows\":4,\"pid\":77},"
		     "{\"name\":\"two\",\"state\":\"hangs\",\"pid\":78}]}");

	expect_page(data, 0, 0,
		    "NAME                     STATE      CPU%   MEMORY    LIMIT   MEM%  CPUS  JOBS "
		    "FLOWS      AGE      PID\n"
		    "one                      running     3.0     100K     256M   12.5     1     2 "
		    "    4      59s       77\n"
		    "two                      hangs         -        -        -      -     0     0 "
		    "    0        -       78\n");
	check_size(data, 2, 30);
	json_decref(data);
}
END_TEST

/* --- percentages ------------------------------------------------------------------------------ */

static double percent_of(const json_t *item)
{
	const json_t *percent = json_object_get(item, "cpu_percent");

	return percent ? json_number_value(percent) : -1;
}

START_TEST(percentages_are_since_the_page_before)
{
	json_t *before = load("{\"sampled_us\":70000000,\"cpu_us\":1000000,\"age\":10,\"guest_us\":"
			      "50000000,\"processes\":["
			      "{\"pid\":5,\"started_us\":7,\"cpu_us\":100000},"
			      "{\"pid\":6,\"started_us\":8,\"cpu_us\":100000},"
			      "{\"pid\":9,\"started_us\":8,\"cpu_us\":500000}]}");
	json_t *after = load("{\"sampled_us\":71000000,\"cpu_us\":2500000,\"age\":11,\"guest_us\":"
			     "51000000,\"private_kib\":1024,\"memory\":8388608,\"processes\":["
			     "{\"pid\":5,\"started_us\":7,\"cpu_us\":100000},"
			     "{\"pid\":6,\"started_us\":8,\"cpu_us\":600000},"
			     "{\"pid\":7,\"started_us\":50500000,\"cpu_us\":100000},"
			     /* another process with a number of before */
			     "{\"pid\":9,\"started_us\":50900000,\"cpu_us\":100000}]}");
	const json_t *list = json_object_get(after, "processes");

	top_view_compare(before, NULL);
	ck_assert_double_eq(percent_of(before), 10);
	top_view_compare(after, before);
	ck_assert_double_eq(percent_of(after), 150);
	ck_assert_double_eq(json_number_value(json_object_get(after, "memory_percent")), 12.5);
	ck_assert_ptr_null(json_object_get(before, "memory_percent"));
	/* the busiest first */
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "pid")), 9);
	ck_assert_double_eq(percent_of(json_array_get(list, 0)), 100);
	ck_assert_double_eq(percent_of(json_array_get(list, 1)), 50);
	ck_assert_double_eq(percent_of(json_array_get(list, 2)), 20);
	ck_assert_double_eq(percent_of(json_array_get(list, 3)), 0);
	json_decref(before);
	json_decref(after);
}
END_TEST

START_TEST(a_guest_that_lies_about_times_gets_no_percentage)
{
	json_t *before = load("{\"guest_us\":9223372036854775807,\"processes\":["
			      "{\"pid\":5,\"started_us\":7,\"cpu_us\":9223372036854775807}]}");
	json_t *after = load("{\"guest_us\":0,\"age\":0,\"cpu_us\":5,\"processes\":["
			     "{\"pid\":5,\"started_us\":7,\"cpu_us\":0},"
			     "{\"pid\":6,\"started_us\":9223372036854775807,\"cpu_us\":1}]}");
	const json_t *list = json_object_get(after, "processes");

	top_view_compare(before, NULL);
	top_view_compare(after, before);
	ck_assert_double_eq(percent_of(after), -1);
	ck_assert_double_eq(percent_of(json_array_get(list, 0)), -1);
	ck_assert_double_eq(percent_of(json_array_get(list, 1)), -1);
	json_decref(before);
	json_decref(after);
}
END_TEST

START_TEST(without_a_new_list_the_last_one_stays)
{
	json_t *first = load("{\"guest_us\":50000000,\"processes\":["
			     "{\"pid\":5,\"started_us\":7,\"cpu_us\":100000,\"command\":\"sh\"}]}");
	json_t *second = load("{\"processes_error\":\"too late\"}");
	json_t *third = load("{\"guest_us\":52000000,\"processes\":["
			     "{\"pid\":5,\"started_us\":7,\"cpu_us\":1100000}]}");
	char *text;

	top_view_compare(second, NULL);
	ck_assert_ptr_null(json_object_get(second, "processes"));
	top_view_compare(second, first);
	text = page_of(second, 24, 80);
	ck_assert_uint_eq(count_of(text, "COMMAND\ntoo late\n      5 "), 1);
	free(text);
	top_view_compare(third, second);
	ck_assert_double_eq(percent_of(json_array_get(json_object_get(third, "processes"), 0)), 50);
	json_decref(first);
	json_decref(second);
	json_decref(third);
}
END_TEST

UNIT_MAIN("top", a_page_has_all_that_is_known, a_page_fits_every_screen,
	  a_screen_is_filled_and_shared, words_of_the_guest_are_harmless,
	  what_is_missing_is_shown_as_missing, all_sandboxes_are_a_line_each,
	  percentages_are_since_the_page_before, a_guest_that_lies_about_times_gets_no_percentage,
	  without_a_new_list_the_last_one_stays)
