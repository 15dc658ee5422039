/* SPDX-License-Identifier: Apache-2.0 */
/* Which records are kept and where; what is not a record. */
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

#define RACERS 6
#define ROUNDS 60

static void fill(const char *id, const char *file, size_t bytes)
{
	char path[PATH_MAX];
	int fd;

	ck_assert_int_eq(record_file(id, file, path, NULL), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

START_TEST(records_are_bounded_by_number)
{
	struct record_info info;
	struct record *living;
	char name[32];
	unsigned i;

	begin();
	living = create("living", "start"); /* the oldest of all */
	for (i = 0; i < record_bounds.named + 5; i++) {
		snprintf(name, sizeof(name), "box%u", i);
		life(name, "start", 0);
	}
	/* The one that was made last lived when the bound was looked at. */
	ck_assert_int_eq(count(), (int)record_bounds.named + 2);
	ck_assert_int_eq(record_read("box0", &info, NULL), -ESRCH);
	ck_assert_int_eq(record_read("box4", &info, NULL), 0);
	ck_assert_int_eq(record_read("living", &info, NULL), 0);
	/* Runs have a bound of their own; the only name that goes was beyond the other bound. */
	for (i = 0; i < record_bounds.runs + RECORD_RUNS_SLACK + 1; i++) {
		snprintf(name, sizeof(name), "run-%06u", i);
		life(name, "run", (int)i % 100);
	}
	ck_assert_int_eq(count(), (int)(record_bounds.named + 1 + record_bounds.runs + 1));
	ck_assert_int_eq(record_read("run-000000", &info, NULL), -ESRCH);
	ck_assert_int_eq(record_read("run-000008", &info, NULL), 0);
	ck_assert_int_eq(record_last_run(&info, NULL), 0);
	snprintf(name, sizeof(name), "run-%06u", record_bounds.runs + RECORD_RUNS_SLACK);
	ck_assert_str_eq(info.id, name);
	record_close(living);
	end();
}
END_TEST

START_TEST(records_are_bounded_by_size)
{
	struct record_info info;
	struct record *living;
	char name[32];
	int i;

	begin();
	living = create("living", "start");
	fill("living", "audit.log", record_bounds.bytes + 1); /* sparse */
	for (i = 0; i < 6; i++) {
		struct record *record;

		snprintf(name, sizeof(name), "run-%d", i);
		record = create(name, "run");
		fill(name, "audit.log.1", record_bounds.bytes / 4);
		record_end(record, RECORD_EXITED, 0, NULL);
		record_close(record);
	}
	/* Three quarters and the small files: a fourth does not fit. */
	ck_assert_int_eq(count(), 4);
	ck_assert_int_eq(record_read("run-2", &info, NULL), -ESRCH);
	ck_assert_int_eq(record_read("run-3", &info, NULL), 0);
	ck_assert_int_eq(record_read("living", &info, NULL), 0);
	record_close(living);
	/* One that was killed said nothing at its end: the next start looks. */
	life("small", "start", 0);
	ck_assert_int_eq(record_read("living", &info, NULL), -ESRCH);
	end();
}
END_TEST

START_TEST(leftovers_of_killed_commands_go)
{
	struct record_info info;
	char path[PATH_MAX];
	int fd;

	begin();
	life("box", "start", 0);
	ck_assert_int_eq(directory_state_path(path, NULL), 0);
	strcat(path, "/.new");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	strcat(path, "/record.json");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(directory_state_path(path, NULL), 0);
	strcat(path, "/.gone");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	/* No reader sees them, and the next one that makes or removes removes them. */
	ck_assert_int_eq(count(), 1);
	life("other", "start", 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(record_read("other", &info, NULL), 0);
	end();
}
END_TEST

/* What is no record stays, and is in nothing's way. */
START_TEST(foreign_files_are_left_alone)
{
	static const struct record_bounds none;
	char file[PATH_MAX], inner[PATH_MAX];
	struct record_info info;
	struct err err;
	FILE *made;

	begin();
	life("box", "start", 0);
	life("odd", "start", 0);
	ck_assert_int_eq(record_file("notes", "", file, NULL), 0);
	made = fopen(file, "w");
	ck_assert_ptr_nonnull(made);
	fclose(made);
	ck_assert_int_eq(record_file("odd", "mine", inner, NULL), 0);
	ck_assert_int_eq(mkdir(inner, 0700), 0);
	strcat(inner, "/too");
	ck_assert_int_eq(mkdir(inner, 0700), 0);
	ck_assert_int_eq(record_remove("odd", &err), -ENOTEMPTY);
	ck_assert_int_eq(record_prune(&none, NULL), 1);
	ck_assert_int_eq(record_read("odd", &info, NULL), 0);
	ck_assert_int_eq(access(file, F_OK), 0);
	/* The name of a file can be a sandbox's all the same. */
	life("notes", "start", 0);
	ck_assert_int_eq(record_remove("notes", NULL), 0);
	life("next", "start", 0);
	ck_assert_int_eq(record_remove("next", NULL), 0);
	ck_assert_int_eq(rmdir(inner), 0);
	*strrchr(inner, '/') = '\0';
	ck_assert_int_eq(rmdir(inner), 0);
	strcat(file, "~1");
	ck_assert_int_eq(unlink(file), 0);
	end();
}
END_TEST

START_TEST(a_record_that_says_nothing)
{
	static const char *const text[] = {"", "{", "[]",
					   "{\"end\":7,\"name\":[],\"status\":\"x\"}"};
	struct record_info info;
	char path[PATH_MAX];
	size_t i;
	FILE *file;

	begin();
	for (i = 0; i < ARRAY_SIZE(text); i++) {
		life("box", "start", 0);
		ck_assert_int_eq(record_file("box", "record.json", path, NULL), 0);
		file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		fputs(text[i], file);
		fclose(file);
		ck_assert_int_eq(record_read("box", &info, NULL), 0);
		ck_assert_int_eq(info.end, RECORD_NONE);
	}
	ck_assert_int_eq(count(), 4);
	ck_assert_int_eq(record_remove("box~2", NULL), 0);
	/* A link in place of a record is none. */
	ck_assert_int_eq(record_file("link", "", path, NULL), 0);
	ck_assert_int_eq(symlink("box", path), 0);
	ck_assert_int_eq(record_read("link", &info, NULL), -ESRCH);
	unlink(path);
	end();
}
END_TEST

START_TEST(a_foreign_or_open_directory_is_refused)
{
	struct record_info about = {.name = "box", .kind = "start"};
	struct record *record;
	char path[128];
	struct err err;

	begin();
	snprintf(path, sizeof(path), "%s/cordon", base);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(chmod(path, 0770), 0);
	ck_assert_int_eq(record_create(&record, &about, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_eq(chmod(path, 0700), 0);
	ck_assert_int_eq(record_create(&record, &about, &err), 0); /* the twin */
	record_end(record, RECORD_STOPPED, 0, NULL);
	record_close(record);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 65534, 65534), 0);
		ck_assert_int_eq(record_create(&record, &about, &err), -EPERM);
		ck_assert_int_eq(chown(path, 0, 0), 0);
	}
	end();
}
END_TEST

START_TEST(places_by_environment)
{
	char path[PATH_MAX], wanted[PATH_MAX];
	struct err err;

	begin();
	ck_assert_int_eq(directory_state_path(path, &err), 0);
	snprintf(wanted, sizeof(wanted), "%s/cordon", base);
	ck_assert_str_eq(path, wanted);
	/* A relative one counts as not set; of the parents what is missing is made. */
	setenv("XDG_STATE_HOME", "state", 1);
	setenv("HOME", base, 1);
	ck_assert_int_eq(directory_in_state(path, &err), 0);
	snprintf(wanted, sizeof(wanted), "%s/.local/state/cordon", base);
	ck_assert_str_eq(path, wanted);
	ck_assert_int_eq(access(wanted, F_OK), 0);
	ck_assert_int_eq(rmdir(wanted), 0);
	*strrchr(wanted, '/') = '\0';
	ck_assert_int_eq(rmdir(wanted), 0);
	*strrchr(wanted, '/') = '\0';
	ck_assert_int_eq(rmdir(wanted), 0);
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", "home", 1);
	ck_assert_int_eq(directory_state_path(path, &err), 0);
	ck_assert_ptr_nonnull(strstr(path, "/var/"));
	unsetenv("HOME");
	ck_assert_int_eq(directory_state_path(path, &err), 0);
	ck_assert_ptr_nonnull(strstr(path, "/var/"));
	ck_assert_int_eq(rmdir(base), 0);
}
END_TEST

/*
 * Makers, readers and removers at once. Two of one name at a time have two records, and a reader
 * never meets half a record.
 */
static int racer(unsigned number)
{
	static const struct record_bounds few = {.named = 2, .runs = 2, .bytes = UINT64_MAX};
	struct record_info about = {.name = "box", .kind = "start", .pid = getpid()}, info;
	json_t *empty = json_object();
	struct record *record;
	unsigned round;
	int ret;

	for (round = 0; round < ROUNDS; round++) {
		switch (number % 3) {
		case 0:
			about.started_ns = record_now();
			if (record_create(&record, &about, NULL) < 0)
				return 1;
			if (record_put(record, "policy.json", empty) < 0)
				return 2;
			record_end(record, RECORD_STOPPED, 7, NULL);
			record_close(record);
			break;
		case 1:
			ret = record_read("box", &info, NULL);
			if (ret == 0 && strcmp(info.name, "box") != 0)
				return 3;
			if (ret < 0 && ret != -ESRCH)
				return 4;
			break;
		default:
			if (record_prune(&few, NULL) < 0)
				return 5;
			ret = record_remove("box", NULL);
			if (ret < 0 && ret != -ESRCH && ret != -ENOENT && ret != -EBUSY)
				return 6;
		}
	}
	return 0;
}

START_TEST(races)
{
	pid_t pid[RACERS];
	unsigned i;
	int status;

	begin();
	for (i = 0; i < RACERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(racer(i));
	}
	for (i = 0; i < RACERS; i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_msg(status == 0, "racer %u: %x", i, (unsigned)status);
	}
	end();
}
END_TEST

UNIT_MAIN("record_kept", records_are_bounded_by_number, records_are_bounded_by_size,
	  leftovers_of_killed_commands_go, foreign_files_are_left_alone, a_record_that_says_nothing,
	  a_foreign_or_open_directory_is_refused, places_by_environment, races)
