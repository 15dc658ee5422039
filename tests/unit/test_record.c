/* SPDX-License-Identifier: Apache-2.0 */
/* Records of sandboxes: their ends, names that are used again, bounds, killed monitors, races. */
#include "vmm/control/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/unit.h"
#include "vmm/base/directory.h"
#include "tests/unit/record_common.h"

START_TEST(a_record_outlives_its_sandbox)
{
	struct record *record;
	struct record_info info;
	struct stat status;
	struct err err;

	begin();
	ck_assert_int_eq(count(), 0);
	ck_assert_int_eq(record_read("box", &info, &err), -ESRCH);
	record = create("box", "start");
	ck_assert_int_eq(record_read("box", &info, &err), 0);
	ck_assert(info.lives);
	ck_assert_int_eq(info.pid, getpid());
	ck_assert_str_eq(info.kind, "start");
	ck_assert_str_eq(info.audit + strlen(info.audit) - 14, "/box/audit.log");
	ck_assert_int_eq(record_remove("box", &err), -EBUSY);
	record_end(record, RECORD_TIME, 124, "the wall time was over");
	record_end(record, RECORD_FAILED, 1, "the first one counts");
	/* Told already, before the monitor has let go. */
	ck_assert_int_eq(record_read("box", &info, &err), 0);
	ck_assert(!info.lives);
	record_close(record);
	ck_assert_int_eq(record_read("box", &info, &err), 0);
	ck_assert(!info.lives);
	ck_assert_int_eq(info.end, RECORD_TIME);
	ck_assert_int_eq(info.status, 124);
	ck_assert_str_eq(record_reason(&info), "the wall time was over");
	ck_assert(info.finished_ns >= info.started_ns);
	ck_assert_int_eq(stat(base, &status), 0);
	/* Looking removes nothing. */
	ck_assert_int_eq(count(), 1);
	ck_assert_int_eq(count(), 1);
	ck_assert_int_eq(record_remove("box", &err), 0);
	ck_assert_int_eq(record_remove("box", &err), -ESRCH);
	end();
}
END_TEST

START_TEST(a_killed_monitor_is_reported_as_such)
{
	struct record_info info;

	begin();
	killed("box");
	ck_assert_int_eq(record_read("box", &info, NULL), 0);
	ck_assert(!info.lives);
	ck_assert_int_eq(info.end, RECORD_NONE);
	ck_assert_ptr_nonnull(strstr(record_reason(&info), "killed or crashed"));
	/* The name can be used again, and the older record has a number. */
	life("box", "start", 0);
	ck_assert_int_eq(record_read("box~1", &info, NULL), 0);
	ck_assert_int_eq(info.end, RECORD_NONE);
	ck_assert_int_eq(record_read("box", &info, NULL), 0);
	ck_assert_int_eq(info.end, RECORD_STOPPED);
	end();
}
END_TEST

START_TEST(a_name_is_used_again)
{
	struct record_info info;
	struct record *other;
	struct err err;
	int i;

	begin();
	for (i = 0; i < 4; i++)
		life("box", "start", i);
	ck_assert_int_eq(record_read("box", &info, &err), 0);
	ck_assert_int_eq(info.status, 3);
	for (i = 0; i < 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "box~%d", i + 1);
		ck_assert_int_eq(record_read(id, &info, &err), 0);
		ck_assert_int_eq(info.status, i);
		ck_assert_str_eq(info.name, "box");
		ck_assert_ptr_nonnull(strstr(info.audit, id));
	}
	/* A number that was removed is not given to another record while higher ones are there. */
	ck_assert_int_eq(record_remove("box~2", &err), 0);
	life("box", "start", 4);
	ck_assert_int_eq(record_read("box~2", &info, &err), -ESRCH);
	ck_assert_int_eq(record_read("box~4", &info, &err), 0);
	/* Another session's sandbox of the name keeps it. */
	other = create("box", "start");
	life("box", "start", 9);
	ck_assert_int_eq(record_read("box", &info, &err), 0);
	ck_assert(info.lives);
	ck_assert_int_eq(record_read("box~6", &info, &err), 0);
	ck_assert_int_eq(info.status, 9);
	record_close(other);
	end();
}
END_TEST

START_TEST(names_of_records_are_checked)
{
	static const char *const good[] = {"box", "box~1", "box~999999999"};
	static const char *const bad[] = {
		"",	  "~1",	  "box~",    "box~0",	       "box~01",
		"box~1x", "b/~1", "box~1~2", "box~1000000000", ".new",
		".gone",  "..",	  "box~-1",  "box~ 1",	       "box/../x"};
	struct record_info info;
	struct err err;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(record_check_id(good[i], &err) == 0, "%s", good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(record_check_id(bad[i], &err) == -EINVAL, "%s", bad[i]);
		ck_assert_int_eq(record_read(bad[i], &info, &err), -EINVAL);
		ck_assert_int_eq(record_remove(bad[i], &err), -EINVAL);
	}
	/* And none of them can be claimed by a sandbox. */
	ck_assert_int_eq(registry_check_name("box~1", &err), -EINVAL);
	rmdir(base);
}
END_TEST

UNIT_MAIN("record", a_record_outlives_its_sandbox, a_killed_monitor_is_reported_as_such,
	  a_name_is_used_again, names_of_records_are_checked)
