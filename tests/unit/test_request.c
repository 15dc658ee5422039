/* SPDX-License-Identifier: Apache-2.0 */
/* The request `exec`, which is JSON, and so has no bytes that are not UTF-8. */
#include "vmm/cli/request.h"

#include <string.h>

#include "tests/support/unit.h"

static struct err err;

/* A command with these words, and variables as -e gives them. */
static json_t *request(const char *variable, const char *word)
{
	struct command_options command = {.env = {"A=1", variable}, .env_count = 2};
	char *argv[] = {"true", (char *)(uintptr_t)word, NULL};

	err.text[0] = '\0';
	return request_exec("exec", &command, argv, &err);
}

static const char *word_of(const json_t *json, const char *list, size_t i)
{
	return json_string_value(json_array_get(json_object_get(json, list), i));
}

START_TEST(utf8_is_passed_on)
{
	json_t *json = request("B=\xc3\xa9\x01", "\xf0\x9f\x8d\x8b");

	ck_assert_msg(json, "%s", err.text);
	ck_assert_str_eq(word_of(json, "env", 0), "A=1");
	ck_assert_str_eq(word_of(json, "env", 1), "B=\xc3\xa9\x01");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "env")), 2);
	ck_assert_str_eq(word_of(json, "argv", 1), "\xf0\x9f\x8d\x8b");
	json_decref(json);
}
END_TEST

/* Neither the variable nor all of them are left out. */
START_TEST(other_bytes_are_an_error)
{
	static const char *const bad[] = {"B=\xff", "B=\xc3", "B=\x80x", "\xfe=1",
					  "B=\xed\xa0\x80"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_ptr_null(request(bad[i], "x"));
		ck_assert_str_eq(err.text, "exec: a variable is not valid UTF-8");
		ck_assert_ptr_null(request("B=1", bad[i]));
		ck_assert_str_eq(err.text, "exec: an argument is not valid UTF-8");
	}
}
END_TEST

UNIT_MAIN("request", utf8_is_passed_on, other_bytes_are_an_error)
