/* SPDX-License-Identifier: Apache-2.0 */
/* What `cordon top` reads of an audit log: its end, and what is added, across rotations. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/cli/top_log.h"

static char top[] = "/tmp/cordon-top.XXXXXX", path[64];
static struct top_log log_read;

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/audit.log", top);
	top_log_open(&log_read, path);
}

static void end(void)
{
	char command[64];

	top_log_close(&log_read);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}

static void __attribute__((format(printf, 2, 3))) append(enum audit_part part, const char *fmt, ...)
{
	char name[AUDIT_PATH_MAX];
	va_list ap;
	FILE *file;

	audit_file(name, path, part, 0);
	file = fopen(name, "a");
	ck_assert_ptr_nonnull(file);
	va_start(ap, fmt);
	vfprintf(file, fmt, ap);
	va_end(ap);
	ck_assert_int_eq(fclose(file), 0);
}

static void touch(const char *op, const char *object)
{
	append(AUDIT_ALLOWED,
	       "{\"seq\":1,\"time\":\"2026-11-29T11:47:49Z\",\"class\":\"file\",\"op\":\"%s\","
	       "\"object\":\"%s\",\"verdict\":\"allow\",\"rule\":\"p:1\",\"hash\":\"0\"}\n",
	       op, object);
}

static void deny(const char *op, const char *object, const char *verdict)
{
	append(AUDIT_DENIALS,
	       "{\"seq\":1,\"time\":\"2026-11-29T11:47:49Z\",\"class\":\"file\",\"op\":\"%s\","
	       "\"object\":\"%s\",\"verdict\":\"%s\",\"rule\":\"p:2\",\"hash\":\"0\"}\n",
	       op, object, verdict);
}

static const char *object_of(const json_t *list, size_t i)
{
	const char *object = json_string_value(json_object_get(json_array_get(list, i), "object"));

	return object ? object : "";
}

START_TEST(files_are_there_once_and_the_newest_first)
{
	begin();
	top_log_read(&log_read); /* there is no log yet */
	touch("read", "/a");
	touch("read", "/b");
	touch("write", "/a");
	top_log_read(&log_read);
	ck_assert_uint_eq(json_array_size(log_read.files), 2);
	ck_assert_str_eq(object_of(log_read.files, 0), "/a");
	ck_assert_str_eq(object_of(log_read.files, 1), "/b");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_array_get(log_read.files, 0), "op")),
		"write");
	top_log_read(&log_read);
	touch("read", "/b");
	top_log_read(&log_read);
	ck_assert_uint_eq(json_array_size(log_read.files), 2);
	ck_assert_str_eq(object_of(log_read.files, 0), "/b");
	ck_assert_uint_eq(json_array_size(log_read.denials), 0);
	end();
}
END_TEST

START_TEST(denials_in_a_row_are_counted)
{
	const json_t *list;

	begin();
	deny("write", "/x", "deny");
	deny("write", "/x", "deny");
	deny("read", "/x", "hide");
	deny("lookup", "/hidden", "hide"); /* no denial */
	deny("write", "/x", "deny");
	append(AUDIT_DENIALS, "{\"seq\":2,\"event\":\"ask\",\"class\":\"net\"}\n");
	append(AUDIT_DENIALS, "{\"seq\":3,\"event\":\"gap\",\"denied\":5}\n");
	top_log_read(&log_read);
	list = log_read.denials;
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "count")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 2), "count")), 2);
	end();
}
END_TEST

START_TEST(lines_that_are_not_complete_or_none_at_all)
{
	begin();
	touch("read", "/a");
	append(AUDIT_ALLOWED,
	       "not JSON\n[]\n\n{}\n{\"class\":5,\"op\":[],\"verdict\":\"allow\"}\n");
	append(AUDIT_ALLOWED, "{\"seq\":9,\"class\":\"file\",\"op\":\"read\",");
	top_log_read(&log_read);
	ck_assert_uint_eq(json_array_size(log_read.files), 1);
	append(AUDIT_ALLOWED, "\"object\":\"/b\",\"verdict\":\"allow\"}\n");
	top_log_read(&log_read);
	ck_assert_uint_eq(json_array_size(log_read.files), 2);
	ck_assert_str_eq(object_of(log_read.files, 0), "/b");
	end();
}
END_TEST

START_TEST(a_log_is_followed_across_rotations)
{
	char from[AUDIT_PATH_MAX], to[AUDIT_PATH_MAX];

	begin();
	touch("read", "/a");
	top_log_read(&log_read);
	touch("read", "/before");
	audit_file(from, path, AUDIT_ALLOWED, 0);
	audit_file(to, path, AUDIT_ALLOWED, 1);
	ck_assert_int_eq(rename(from, to), 0);
	top_log_read(&log_read);
	touch("read", "/after");
	top_log_read(&log_read);
	ck_assert_str_eq(object_of(log_read.files, 0), "/after");
	ck_assert_str_eq(object_of(log_read.files, 1), "/before");
	ck_assert_str_eq(object_of(log_read.files, 2), "/a");
	end();
}
END_TEST

START_TEST(of_a_long_log_only_the_end_is_read)
{
	char name[32], last[32] = "";
	unsigned i;

	begin();
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/file-%u", i);
		touch("read", name);
		deny("write", name, "deny");
	}
	top_log_read(&log_read);
	ck_assert_uint_eq(json_array_size(log_read.files), TOP_LOG_KEPT);
	ck_assert_uint_eq(json_array_size(log_read.denials), TOP_LOG_KEPT);
	snprintf(last, sizeof(last), "/file-%u", i - 1);
	ck_assert_str_eq(object_of(log_read.files, 0), last);
	ck_assert_str_eq(object_of(log_read.denials, 0), last);
	/* a line longer than what is read at a time is passed over */
	append(AUDIT_ALLOWED, "%0*d\n", 2 * (int)TOP_LOG_READ, 0);
	top_log_read(&log_read);
	touch("read", "/end");
	top_log_read(&log_read);
	ck_assert_str_eq(object_of(log_read.files, 0), "/end");
	end();
}
END_TEST

START_TEST(a_sandbox_without_a_log_has_empty_lists)
{
	struct top_log none;

	top_log_open(&none, "");
	top_log_read(&none);
	ck_assert_uint_eq(json_array_size(none.files) + json_array_size(none.denials), 0);
	top_log_close(&none);
}
END_TEST

UNIT_MAIN("top_log", files_are_there_once_and_the_newest_first, denials_in_a_row_are_counted,
	  lines_that_are_not_complete_or_none_at_all, a_log_is_followed_across_rotations,
	  of_a_long_log_only_the_end_is_read, a_sandbox_without_a_log_has_empty_lists)
