/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/hosts and /etc/hostname as the agent completes them, whatever an image has there. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "tests/support/unit.h"

#define LOCAL "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
#define OWN   "127.0.1.1 sandbox\n"

static char top[] = "/tmp/cordon-hosts.XXXXXX";

static void set_up(void)
{
	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(chdir(top), 0);
	alarm(20);
}

static void tear_down(void)
{
	char command[64];

	alarm(0);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text, size_t length)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, length), length);
	close(fd);
}

static void expect(const char *name, const char *wanted)
{
	static char text[200000];
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	ck_assert_msg(fd >= 0, "%s", name);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	ck_assert_str_eq(text, wanted);
}

static void rename_to(const char *name)
{
	hosts_rename(name, strlen(name));
}

START_TEST(the_files_are_made)
{
	struct stat stat;

	set_up();
	hosts_prepare();
	expect("etc/hosts", LOCAL OWN);
	expect("etc/hostname", "sandbox\n");
	ck_assert_int_eq(lstat("etc/hosts", &stat), 0);
	ck_assert_uint_eq(stat.st_mode & 0777, 0644);
	rename_to("box-1");
	expect("etc/hosts", LOCAL "127.0.1.1 box-1\n");
	expect("etc/hostname", "box-1\n");
	rename_to("a-longer.name_than-that");
	expect("etc/hosts", LOCAL "127.0.1.1 a-longer.name_than-that\n");
	expect("etc/hostname", "a-longer.name_than-that\n");
	/* A name that would be lines of its own is none. */
	rename_to("a\n1.2.3.4 b");
	expect("etc/hostname", "a-longer.name_than-that\n");
	rename_to("sandbox");
	expect("etc/hosts", LOCAL OWN);
	tear_down();
}
END_TEST

START_TEST(what_an_image_has_is_completed)
{
	static const struct {
		const char *has, *wanted;
	} cases[] = {
		{"", LOCAL OWN},
		{"10.0.0.1 db", "10.0.0.1 db\n" LOCAL OWN},
		{"# 127.0.0.1 localhost\n", "# 127.0.0.1 localhost\n" LOCAL OWN},
		{"1.2.3.4 localhosts\n", "1.2.3.4 localhosts\n" LOCAL OWN},
		{"localhost\n", "localhost\n" LOCAL OWN},
		{"127.0.0.1\tx localhost # y\n\n", "127.0.0.1\tx localhost # y\n\n" OWN},
		{"127.0.0.1 localhost", "127.0.0.1 localhost\n" OWN},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up();
		ck_assert_int_eq(mkdir("etc", 0755), 0);
		put("etc/hosts", cases[i].has, strlen(cases[i].has));
		put("etc/hostname", "a-name-of-the-image\n", 20);
		hosts_prepare();
		expect("etc/hosts", cases[i].wanted);
		expect("etc/hostname", "sandbox\n");
		tear_down();
	}
}
END_TEST

/* A link is replaced, and leads nowhere; /etc itself may be one. */
START_TEST(links_lead_nowhere)
{
	set_up();
	ck_assert_int_eq(mkdir("real", 0755), 0);
	ck_assert_int_eq(symlink("real", "etc"), 0);
	ck_assert_int_eq(symlink("../outside", "real/hosts"), 0);
	ck_assert_int_eq(mkdir("real/hostname", 0755), 0);
	put("outside", "as it was", 9);
	hosts_prepare();
	expect("real/hosts", LOCAL OWN);
	expect("outside", "as it was");
	rename_to("box");
	expect("real/hosts", LOCAL "127.0.1.1 box\n");
	rename_to("sandbox");
	tear_down();
	set_up();
	put("etc", "a file", 6);
	hosts_prepare();
	expect("etc", "a file");
	tear_down();
	/* A pipe is not waited for. */
	set_up();
	ck_assert_int_eq(mkdir("etc", 0755), 0);
	ck_assert_int_eq(mkfifo("etc/hosts", 0644), 0);
	hosts_prepare();
	expect("etc/hostname", "sandbox\n");
	tear_down();
}
END_TEST

/* As it would to /run/cordon, which is guest root's. */
START_TEST(a_link_leads_to_no_other_file_system)
{
	char other[] = "/dev/shm/cordon-hosts.XXXXXX";
	struct stat here, there;

	set_up();
	ck_assert_ptr_nonnull(mkdtemp(other));
	ck_assert_int_eq(symlink(other, "etc"), 0);
	ck_assert_int_eq(stat(".", &here), 0);
	ck_assert_int_eq(stat("etc", &there), 0);
	hosts_prepare();
	/* Nothing was made in it, if it is another one. */
	ck_assert(rmdir(other) == 0 || here.st_dev == there.st_dev);
	tear_down();
}
END_TEST

/* What a workload has made of the files stays, but for the line that is as it was written. */
START_TEST(a_new_name_replaces_only_its_own_line)
{
	static char large[100000];

	set_up();
	hosts_prepare();
	put("etc/hosts", "1.2.3.4 x127.0.1.1 sandbox\n" OWN "5.6.7.8 y\n", 55);
	put("etc/hostname", "mine\n", 5);
	rename_to("b");
	expect("etc/hosts", "1.2.3.4 x127.0.1.1 sandbox\n127.0.1.1 b\n5.6.7.8 y\n");
	expect("etc/hostname", "mine\n");
	/* None of ours; nothing; more than is read; another file. */
	put("etc/hosts", "127.0.1.1 bb\n", 13);
	rename_to("c");
	expect("etc/hosts", "127.0.1.1 bb\n");
	put("etc/hosts", "", 0);
	rename_to("d");
	expect("etc/hosts", "");
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, "127.0.1.1 d\n", 12);
	put("etc/hosts", large, sizeof(large) - 1);
	rename_to("e");
	expect("etc/hosts", large);
	unlink("etc/hosts");
	put("etc/hosts", "127.0.1.1 e\n", 12);
	rename_to("sandbox");
	expect("etc/hosts", "127.0.1.1 e\n");
	tear_down();
}
END_TEST

START_TEST(a_file_that_is_too_long_stays)
{
	static char large[65537], wanted[66000];

	memset(large, 'x', sizeof(large) - 1);
	set_up();
	ck_assert_int_eq(mkdir("etc", 0755), 0);
	put("etc/hosts", large, 65536);
	hosts_prepare();
	expect("etc/hosts", large);
	/* The longest that is read is completed. */
	large[65535] = '\0';
	put("etc/hosts", large, 65535);
	hosts_prepare();
	strcpy(wanted, large);
	strcat(wanted, "\n" LOCAL OWN);
	expect("etc/hosts", wanted);
	tear_down();
}
END_TEST

UNIT_MAIN("agent_hosts", the_files_are_made, what_an_image_has_is_completed, links_lead_nowhere,
	  a_link_leads_to_no_other_file_system, a_new_name_replaces_only_its_own_line,
	  a_file_that_is_too_long_stays)
