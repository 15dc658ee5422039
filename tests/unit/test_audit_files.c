/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's files: rotation, what interrupts it, and opening. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/audit_log.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"

static struct err err;
static struct audit_check chains;
static unsigned found;

static const struct audit_config small = {.file_bytes = 2000, .files = 4};

static char *name_of(enum audit_part part, unsigned number)
{
	static char path[AUDIT_PATH_MAX];

	audit_file(path, audit_log_path, part, number);
	return path;
}

static bool is_there(enum audit_part part, unsigned number)
{
	return access(name_of(part, number), F_OK) == 0;
}

static void log_many(struct audit *audit, unsigned count, enum policy_verdict verdict)
{
	while (count-- > 0)
		ck_assert_int_eq(audit_log_path_read(audit, "/w/a", 4, verdict), 0);
}

static int verify(void)
{
	return audit_log_check(&chains, "\"event\":\"continue\"", &found, &err);
}

START_TEST(files_are_bounded)
{
	struct audit *audit;
	struct stat status;
	unsigned i;

	audit_log_begin();
	audit = audit_log_open(small);
	log_many(audit, 8, POLICY_ALLOW);
	/* All there yet, in two files: whole. */
	ck_assert_int_eq(verify(), 0);
	ck_assert(chains.first == 1 && found >= 1);
	log_many(audit, 100, POLICY_ALLOW);
	/* No number of allowed operations pushes a denial out; then a few of those. */
	ck_assert(!is_there(AUDIT_DENIALS, 1));
	log_many(audit, 10, POLICY_DENY);
	audit_close(audit);
	ck_assert_int_eq(verify(), 0);
	ck_assert_uint_eq(chains.chain[AUDIT_DENIALS].first, 2);
	ck_assert_uint_gt(chains.chain[AUDIT_ALLOWED].first, 2);
	ck_assert_uint_eq(chains.chain[AUDIT_ALLOWED].first, chains.chain[AUDIT_ALLOWED].oldest);
	ck_assert(is_there(AUDIT_DENIALS, 1) && !is_there(AUDIT_ALLOWED, 4));
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(stat(name_of(AUDIT_ALLOWED, i), &status), 0);
		ck_assert_int_lt(status.st_size, 3000);
		ck_assert_uint_eq(status.st_mode & 0777, 0600);
	}
	/* A log with old files is continued. */
	audit = audit_log_open(small);
	log_many(audit, 30, POLICY_ALLOW);
	audit_close(audit);
	ck_assert_int_eq(verify(), 0);
	audit_log_end();
}
END_TEST

/* Missing files are detected, except those that rotation removed. */
START_TEST(removed_files_show)
{
	static const struct {
		enum audit_part part;
		unsigned number;
		const char *wanted;
	} removed[] = {
		{AUDIT_ALLOWED, 3, "of allowed operations lacks the lines before"},
		{AUDIT_ALLOWED, 2, "are missing"},
		{AUDIT_ALLOWED, 0, "are missing"},
		{AUDIT_DENIALS, 0, "is missing"},
	};
	struct audit *audit;
	char command[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(removed); i++) {
		audit_log_begin();
		audit = audit_log_open(small);
		log_many(audit, 100, POLICY_ALLOW);
		log_many(audit, 1, POLICY_DENY);
		audit_close(audit);
		ck_assert_int_eq(verify(), 0);
		ck_assert_int_eq(unlink(name_of(removed[i].part, removed[i].number)), 0);
		ck_assert_int_eq(verify(), -EBADMSG);
		ck_assert_msg(strstr(err.text, removed[i].wanted), "%zu: %s", i, err.text);
		audit_log_end();
	}
	/* All files of a chain. */
	audit_log_begin();
	audit = audit_log_open(small);
	log_many(audit, 100, POLICY_ALLOW);
	log_many(audit, 1, POLICY_DENY);
	audit_close(audit);
	snprintf(command, sizeof(command), "rm %s %s.[0-9]", audit_log_path, audit_log_path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(err.text, "chain of allowed operations is missing"), "%s", err.text);
	audit_log_end();
	/* All but the current one. */
	audit_log_begin();
	audit = audit_log_open(small);
	while (!is_there(AUDIT_DENIALS, 3))
		log_many(audit, 1, POLICY_DENY);
	audit_close(audit);
	ck_assert_int_eq(verify(), 0);
	snprintf(command, sizeof(command), "rm %s.denials.[0-9]", audit_log_path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(verify(), -EBADMSG);
	ck_assert_msg(strstr(err.text, "of denials lacks the lines before"), "%s", err.text);
	audit_log_end();
}
END_TEST

/* If no new file can be made, the log continues in the same one, and rotates later. */
START_TEST(a_failed_rotation_loses_nothing)
{
	struct audit *audit;
	struct stat status;
	char path[128];

	audit_log_begin();
	audit = audit_log_open(small);
	/* A directory stands in the way. */
	snprintf(path, sizeof(path), "%s.new", audit_log_path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	log_many(audit, 15, POLICY_ALLOW);
	ck_assert_int_eq(verify(), 0);
	ck_assert_uint_eq(found, 0);
	ck_assert(!is_there(AUDIT_ALLOWED, 1));
	ck_assert_int_eq(audit_log_check(&chains, "\"event\":\"rotate\"", &found, &err), 0);
	ck_assert_uint_eq(found, 0);
	/* But not beyond the size of all files. */
	while (audit_log_path_read(audit, "/w/a", 4, POLICY_ALLOW) == 0)
		continue;
	ck_assert_int_eq(audit_log_path_read(audit, "/w/a", 4, POLICY_ALLOW), -EFBIG);
	ck_assert_int_eq(stat(audit_log_path, &status), 0);
	ck_assert_int_lt(status.st_size, 4 * 2000 + 2 * AUDIT_LINE_MAX);
	audit_close(audit);
	ck_assert_int_eq(rmdir(path), 0);
	audit = audit_log_open(small);
	log_many(audit, 10, POLICY_ALLOW);
	audit_close(audit);
	ck_assert_int_eq(verify(), 0);
	ck_assert(found >= 1 && is_there(AUDIT_ALLOWED, 1));
	audit_log_end();
}
END_TEST

/* A monitor killed between any two steps of a rotation. */
START_TEST(an_interrupted_rotation_is_recovered)
{
	static const char *const steps[] = {
		"touch %s.new",					      /* the new file is made, */
		"rm -f %1$s.3; mv %1$s.2 %1$s.3",		      /* files are being shifted, */
		"mv %1$s.2 %1$s.3; mv %1$s.1 %1$s.2",		      /* all have been, */
		"mv %1$s.2 %1$s.3; mv %1$s.1 %1$s.2; mv %1$s %1$s.1", /* the current one, too */
	};
	struct audit *audit;
	char command[1024];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		audit_log_begin();
		audit = audit_log_open(small);
		while (!is_there(AUDIT_ALLOWED, 2))
			log_many(audit, 1, POLICY_ALLOW);
		audit_close(audit);
		snprintf(command, sizeof(command), steps[i], audit_log_path);
		ck_assert_int_eq(system(command), 0);
		ck_assert_msg(verify() == 0, "%zu: %s", i, err.text);
		audit = audit_log_open(small);
		ck_assert(is_there(AUDIT_ALLOWED, 0));
		ck_assert_msg(verify() == 0, "%zu: %s", i, err.text);
		log_many(audit, 10, POLICY_ALLOW);
		ck_assert_msg(verify() == 0, "%zu: %s", i, err.text);
		ck_assert_uint_eq(chains.first, 1);
		log_many(audit, 100, POLICY_ALLOW);
		audit_close(audit);
		ck_assert_msg(verify() == 0, "%zu: %s", i, err.text);
		snprintf(command, sizeof(command), "test ! -e %s.new", audit_log_path);
		ck_assert_int_eq(system(command), 0);
		audit_log_end();
	}
}
END_TEST

START_TEST(a_torn_line_is_cut_off)
{
	struct audit *audit;
	FILE *file;

	audit_log_begin();
	audit = audit_log_open(small);
	log_many(audit, 3, POLICY_ALLOW);
	audit_close(audit);
	file = fopen(audit_log_path, "a");
	fputs("{\"seq\":9,\"ti", file);
	fclose(file);
	audit = audit_log_open(small);
	log_many(audit, 1, POLICY_DENY);
	audit_close(audit);
	ck_assert_int_eq(audit_log_check(&chains, "\"torn\":12", &found, &err), 0);
	ck_assert_uint_eq(found, 1);
	audit_log_end();
}
END_TEST

static void append(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(a_log_has_one_writer_and_is_a_log)
{
	struct audit_config config = {.path = audit_log_path};
	struct audit *audit, *second;
	char other[128];

	audit_log_begin();
	audit = audit_log_open((struct audit_config){0});
	ck_assert_int_eq(audit_open(&second, &config, &err), -EBUSY);
	audit_close(audit);
	ck_assert_int_eq(audit_open(&second, &config, &err), 0);
	audit_close(second);
	append(name_of(AUDIT_DENIALS, 0), "{}\n");
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	/* One of the two is missing: such a log is not continued. */
	ck_assert_int_eq(unlink(name_of(AUDIT_DENIALS, 0)), 0);
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "audit.log.denials, which belongs to it, is missing"), "%s",
		      err.text);
	ck_assert(!is_there(AUDIT_DENIALS, 0));
	ck_assert_int_eq(unlink(name_of(AUDIT_ALLOWED, 0)), 0);
	/* A rotation would overwrite a file that is not of a log. */
	append(name_of(AUDIT_ALLOWED, 2), "mine\n");
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	ck_assert(is_there(AUDIT_ALLOWED, 2));
	ck_assert_int_eq(unlink(name_of(AUDIT_ALLOWED, 2)), 0);
	/* Nor is the file at the temporary name of a rotation. */
	snprintf(other, sizeof(other), "%s.new", audit_log_path);
	append(other, "mine\n");
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "audit.log.new is not an audit log"), "%s", err.text);
	ck_assert_int_eq(unlink(other), 0);
	/* Neither through a link nor into anything but a regular file. */
	snprintf(other, sizeof(other), "%s/link", audit_directory);
	ck_assert_int_eq(symlink("elsewhere", other), 0);
	config.path = other;
	ck_assert_int_eq(audit_open(&second, &config, &err), -ELOOP);
	config.path = "/dev/null";
	ck_assert_int_eq(audit_open(&second, &config, &err), -EINVAL);
	audit_log_end();
}
END_TEST

START_TEST(a_log_is_rotated_in_its_open_directory)
{
	char away[80];
	int directory;
	struct audit_config config = small;
	struct audit *audit;

	audit_log_begin();
	directory = open(audit_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(directory, 0);
	config.directory = &directory;
	audit = audit_log_open(config);
	/* Its path then leads elsewhere, where nothing of it comes to be. */
	snprintf(away, sizeof(away), "%s.away", audit_directory);
	ck_assert_int_eq(rename(audit_directory, away), 0);
	ck_assert_int_eq(mkdir(audit_directory, 0700), 0);
	log_many(audit, 100, POLICY_ALLOW);
	audit_close(audit);
	ck_assert_int_eq(rmdir(audit_directory), 0);
	ck_assert_int_eq(rename(away, audit_directory), 0);
	ck_assert_int_eq(verify(), 0);
	ck_assert(is_there(AUDIT_ALLOWED, 3) && !is_there(AUDIT_ALLOWED, 4));
	close(directory);
	audit_log_end();
}
END_TEST

UNIT_MAIN("audit_files", files_are_bounded, removed_files_show, a_failed_rotation_loses_nothing,
	  an_interrupted_rotation_is_recovered, a_torn_line_is_cut_off,
	  a_log_has_one_writer_and_is_a_log, a_log_is_rotated_in_its_open_directory)
