/* SPDX-License-Identifier: Apache-2.0 */
/* The agent reads a root file system's passwd, whatever an image or a workload has put there. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "tests/support/unit.h"

static const char entries[] = "root:x:0:0:root:/root:/bin/sh\n"
			      "worker:x:77:78::/w:/bin/sh\n"
			      "beyond:x:65536:0::/b:/bin/sh\n"
			      "short:x:5\n"
			      "homeless:x:6:7";

static char top[] = "/tmp/cordon-user.XXXXXX";
static char path[64], other[64];

static void set_up(void)
{
	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/passwd", top);
	snprintf(other, sizeof(other), "%s/other", top);
	alarm(20); /* a blocking read fails the test instead of hanging it */
}

static void tear_down(void)
{
	alarm(0);
	unlink(path);
	rmdir(path);
	unlink(other);
	ck_assert_int_eq(rmdir(top), 0);
}

static void put(const char *name, const char *text, size_t length)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, length), length);
	close(fd);
}

static bool found(const char *name)
{
	struct user user = {0};

	return user_find(path, name, &user);
}

START_TEST(a_user_is_found_by_name_or_by_number)
{
	struct user user = {.uid = 1, .gid = 1};

	set_up();
	put(path, entries, strlen(entries));
	ck_assert(user_find(path, "worker", &user));
	ck_assert_uint_eq(user.uid, 77);
	ck_assert_uint_eq(user.gid, 78);
	ck_assert_str_eq(user.home, "/w");
	user = (struct user){.uid = 77, .gid = 5};
	ck_assert(user_find(path, "", &user));
	ck_assert_uint_eq(user.gid, 5); /* as the caller has it */
	ck_assert_str_eq(user.name, "worker");
	ck_assert(found("homeless"));
	ck_assert(!found("beyond"));
	ck_assert(!found("short"));
	ck_assert(!found("nobody"));
	user = (struct user){.uid = 1234};
	ck_assert(user_find(path, "", &user));
	ck_assert_str_eq(user.name, "");
	tear_down();
}
END_TEST

/* Not opened: a name is not found, a number needs no entry. */
static void expect_nothing(void)
{
	ck_assert(!found("worker"));
	ck_assert(found(""));
}

START_TEST(only_regular_files_are_read)
{
	set_up();
	expect_nothing();
	ck_assert_int_eq(mkfifo(path, 0666), 0);
	expect_nothing();
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	expect_nothing();
	rmdir(path);
	ck_assert_int_eq(symlink("/dev/zero", path), 0);
	expect_nothing();
	unlink(path);
	ck_assert_int_eq(symlink("passwd", path), 0);
	expect_nothing();
	tear_down();
}
END_TEST

/* As an image may have it; but not to what the agent has open. */
START_TEST(a_link_leads_to_a_file_but_not_to_a_descriptor)
{
	char magic[64];
	int fd;

	set_up();
	put(other, entries, strlen(entries));
	ck_assert_int_eq(symlink("other", path), 0);
	ck_assert(found("worker"));
	unlink(path);
	fd = open(other, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	snprintf(magic, sizeof(magic), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(symlink(magic, path), 0);
	ck_assert_int_eq(access(path, R_OK), 0); /* any other program would get through */
	expect_nothing();
	close(fd);
	tear_down();
}
END_TEST

START_TEST(a_large_file_is_read_to_a_bound)
{
	static char text[200000];
	size_t i;

	set_up();
	for (i = 0; i < sizeof(text); i++)
		text[i] = i % 100 == 99 ? '\n' : 'x';
	memcpy(text + 30000, "\nworker:x:77:78::/w:/bin/sh\n", 28);
	memcpy(text + 150000, "\nlate:x:79:80::/l:/bin/sh\n", 26);
	put(path, text, sizeof(text));
	ck_assert(found("worker"));
	ck_assert(!found("late"));
	tear_down();
}
END_TEST

UNIT_MAIN("agent_user", a_user_is_found_by_name_or_by_number, only_regular_files_are_read,
	  a_link_leads_to_a_file_but_not_to_a_descriptor, a_large_file_is_read_to_a_bound)
