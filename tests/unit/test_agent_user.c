/* SPDX-License-Identifier: Apache-2.0 */
/* The agent reads a root file system's passwd and group, whatever an image or a workload has put
 * there. */
#include <errno.h>
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
			      "far:x:200000:4294867294::/f:/bin/sh\n"
			      "beyond:x:4294867295:0::/b:/bin/sh\n"
			      "odd:x:x:0::/o:/bin/sh\n"
			      "signed:x:-1:0::/o:/bin/sh\n"
			      "short:x:5\n"
			      "homeless:x:6:7";

static const char memberships[] = "root:x:0:\n"
				  "workers:x:78:worker\n"
				  "extra:x:99:other,worker\n"
				  "broken:x:y:worker\n"
				  "short:x\n"
				  "similar:x:5:worker2,wor,orker\n"
				  "77:x:6:77\n"
				  "logs:x:55:worker";

static char top[] = "/tmp/cordon-user.XXXXXX";
static char path[64], group[64], other[64];
static const struct user_files files = {path, group};
static struct user user;

static void set_up(void)
{
	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/passwd", top);
	snprintf(group, sizeof(group), "%s/group", top);
	snprintf(other, sizeof(other), "%s/other", top);
	alarm(20); /* a blocking read fails the test instead of hanging it */
}

static void tear_down(void)
{
	alarm(0);
	unlink(path);
	rmdir(path);
	unlink(group);
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
	int ret = user_resolve(&files, name, &user);

	ck_assert_msg(ret == 0 || ret == -ENOENT, "%d", ret);
	return ret == 0;
}

/* As a user's ids and groups are written: "UID GID GROUP..." */
static void expect(const char *name, const char *wanted)
{
	char text[256];
	int ret = user_resolve(&files, name, &user), used;
	unsigned i;

	ck_assert_msg(ret == 0, "%s: %d", name, ret);
	used = snprintf(text, sizeof(text), "%u %u", user.uid, user.gid);
	for (i = 0; i < user.group_count; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, " %u", user.groups[i]);
	ck_assert_str_eq(text, wanted);
}

/* OCI image specification, config.md, "User". */
START_TEST(a_user_is_resolved_as_images_name_it)
{
	set_up();
	put(path, entries, strlen(entries));
	put(group, memberships, strlen(memberships));
	expect("worker", "77 78 78 99 55");
	ck_assert_str_eq(user.home, "/w");
	expect("77", "77 78 78 99 55");
	ck_assert_str_eq(user.name, "worker");
	expect("worker:extra", "77 99 99");
	expect("worker:5", "77 5 5");
	expect("77:extra", "77 99 99");
	expect("77:99", "77 99 99");
	expect("worker:", "77 78 78 99 55");
	expect("0", "0 0 0");
	ck_assert_str_eq(user.home, "/root");
	expect("homeless", "6 7 7");
	/* Numbers need no entry. */
	expect("1234", "1234 0 0");
	ck_assert(!user.name[0] && !user.home[0]);
	expect("1234:extra", "1234 99 99");
	expect("1000650000:4000000000", "1000650000 4000000000 4000000000");
	expect("far", "200000 4294867294 4294867294");
	expect("4294867294", "4294867294 0 0");
	/* A group that is named as a number is found by that name never: it is the number. */
	expect("0:77", "0 77 77");
	tear_down();
}
END_TEST

START_TEST(what_no_user_is_is_refused)
{
	static const struct {
		const char *name;
		int ret;
	} cases[] = {
		{"nobody", -ENOENT},	   {"", -ENOENT},
		{":extra", -ENOENT},	   {"beyond", -ENOENT},
		{"odd", -ENOENT},	   {"signed", -ENOENT},
		{"short", -ENOENT},	   {"-1", -ENOENT},
		{"77 ", -ENOENT},	   {"worker:absent", -ESRCH},
		{"worker:broken", -ESRCH}, {"77:-1", -ESRCH},
		{"worker:a:b", -ESRCH},	   {"4294867295", -ERANGE},
		{"4294967295", -ERANGE},   {"99999999999999999999999999", -ERANGE},
		{"0:4294867295", -ERANGE},
	};
	static char text[65536], line[32], longer[600];
	size_t i, used = 0;

	set_up();
	put(path, entries, strlen(entries));
	put(group, memberships, strlen(memberships));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(user_resolve(&files, cases[i].name, &user) == cases[i].ret, "%s",
			      cases[i].name);
	memset(longer, '7', sizeof(longer) - 1);
	ck_assert_int_eq(user_resolve(&files, longer, &user), -ENOENT);
	/* As many groups as there is room for, and one more. */
	for (i = 0; i < USER_GROUPS_MAX - 1; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "g:x:%zu:worker\n",
					 1000 + i);
	put(group, text, used);
	ck_assert_int_eq(user_resolve(&files, "worker", &user), 0);
	ck_assert_uint_eq(user.group_count, USER_GROUPS_MAX);
	snprintf(line, sizeof(line), "g:x:9:worker\n");
	memcpy(text + used, line, strlen(line));
	put(group, text, used + strlen(line));
	ck_assert_int_eq(user_resolve(&files, "worker", &user), -E2BIG);
	ck_assert_int_eq(user_resolve(&files, "worker:g", &user), 0);
	tear_down();
}
END_TEST

START_TEST(given_ids_have_an_entry_or_none)
{
	set_up();
	put(path, entries, strlen(entries));
	user = (struct user){.uid = 77, .gid = 5};
	user_entry(&files, &user);
	ck_assert_uint_eq(user.gid, 5); /* as the caller has it */
	ck_assert_str_eq(user.name, "worker");
	ck_assert_str_eq(user.home, "/w");
	user = (struct user){.uid = 1234};
	user_entry(&files, &user);
	ck_assert_str_eq(user.name, "");
	tear_down();
}
END_TEST

/* Not opened: a name is not found, a number needs no entry. */
static void expect_nothing(void)
{
	ck_assert(!found("worker"));
	ck_assert(found("77") && !user.name[0]);
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

/* A monitor takes all ids, or those of older sandboxes: others count as 65534. */
START_TEST(user_ids_are_such_as_the_monitor_takes)
{
	static struct link old, new = {.takes_ids = true};

	ck_assert_uint_eq(link_uid(&old, 65535), 65535);
	ck_assert_uint_eq(link_uid(&old, 65536), 65534);
	ck_assert_uint_eq(link_uid(&new, 65536), 65536);
	ck_assert_uint_eq(link_uid(&new, AGENT_SANDBOX_ID_MAX), AGENT_SANDBOX_ID_MAX);
	/* The guest's own root, as a number of the sandbox. */
	ck_assert_uint_eq(link_uid(&new, 0u - SANDBOX_ID_BASE), 65534);
}
END_TEST

UNIT_MAIN("agent_user", user_ids_are_such_as_the_monitor_takes,
	  a_user_is_resolved_as_images_name_it, what_no_user_is_is_refused,
	  given_ids_have_an_entry_or_none, only_regular_files_are_read,
	  a_link_leads_to_a_file_but_not_to_a_descriptor, a_large_file_is_read_to_a_bound)
