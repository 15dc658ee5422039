/* SPDX-License-Identifier: Apache-2.0 */
/* Which shares reach too far, whatever their paths are. */
#include "vmm/launch/share_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/support/unit.h"

static char top[64];

static const char *path_of(const char *name)
{
	static char path[2][PATH_MAX];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], PATH_MAX, "%s/%s", top, name);
	return path[turn];
}

static void begin(void)
{
	static const char *const names[] = {"home", "home/.ssh", "home/work", "mount", "work"};
	size_t i;

	strcpy(top, "/tmp/cordon-reach-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_int_eq(mkdir(path_of(names[i]), 0755), 0);
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

static int reach(const char *host, const char *option, struct err *err)
{
	const struct policy_source source = {
		.name = "p", .directory = "/", .home = path_of("home")};
	char text[2 * PATH_MAX];
	struct policy *policy;
	int ret;

	snprintf(text, sizeof(text), "policy 1\nshare %s /w %s\nfile read /w/**\n", host, option);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, err) == 0, "%s",
		      err->text);
	ret = share_check_reach(policy, err);
	policy_free(policy);
	return ret;
}

/* What was shared with --allow-home is no reason to refuse another one. */
START_TEST(one_share_beside_one_that_reaches_far)
{
	struct policy_source source = {.name = "p", .directory = "/"};
	static const char text[] = "policy 1\nshare / /all ro\nshare /usr/bin /w ro\n"
				   "file read /**\n";
	struct policy *policy;
	struct err err = {""};

	begin();
	source.home = path_of("home");
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(share_check_reach(policy, &err), -EPERM);
	ck_assert_int_eq(share_check_reach_of(policy, "/all", &err), -EPERM);
	ck_assert_int_eq(share_check_reach_of(policy, "/w", &err), 0);
	policy_free(policy);
	end();
}
END_TEST

START_TEST(the_home_directory_by_another_name)
{
	struct err err;

	begin();
	ck_assert_int_eq(reach(path_of("home"), "", &err), -EPERM);
	ck_assert_int_eq(reach(top, "ro", &err), -EPERM);
	ck_assert_int_eq(reach(path_of("home/work"), "", &err), 0);
	ck_assert_int_eq(reach(path_of("mount"), "", &err), 0);
	/* check runs each test in a process of its own. */
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount(path_of("home"), path_of("mount"), NULL, MS_BIND, NULL) == 0) {
		ck_assert_int_eq(reach(path_of("mount"), "", &err), -EPERM);
		ck_assert_ptr_nonnull(strstr(err.text, "home directory is within reach"));
		ck_assert_int_eq(reach(path_of("mount/work"), "", &err), 0);
		ck_assert_int_eq(umount(path_of("mount")), 0);
	}
	end();
}
END_TEST

/* sudo leaves $HOME and the user to be root's. */
START_TEST(the_home_directory_behind_sudo)
{
	const struct passwd *user;
	char number[32], name[64], place[PATH_MAX];
	bool found = false;
	struct err err;

	begin();
	unsetenv("SUDO_UID");
	unsetenv("PKEXEC_UID");
	unsetenv("DOAS_USER");
	while (!found && (user = getpwent())) {
		snprintf(number, sizeof(number), "%u", user->pw_uid);
		snprintf(name, sizeof(name), "%s", user->pw_name);
		found = user->pw_uid != getuid() && realpath(user->pw_dir, place) &&
			strcmp(place, "/") != 0 && reach(place, "ro", &err) == 0;
	}
	if (found) {
		setenv("SUDO_UID", number, 1);
		ck_assert_int_eq(reach(place, "ro", &err), -EPERM);
		ck_assert_int_eq(reach(path_of("work"), "", &err), 0);
		unsetenv("SUDO_UID");
		setenv("DOAS_USER", name, 1);
		ck_assert_int_eq(reach(place, "ro", &err), -EPERM);
		setenv("DOAS_USER", "", 1);
		setenv("SUDO_UID", "x", 1);
		ck_assert_int_eq(reach(path_of("work"), "", &err), 0);
	}
	endpwent();
	end();
}
END_TEST

START_TEST(within_a_secret_place)
{
	struct err err;

	begin();
	ck_assert_int_eq(reach(path_of("home/.ssh"), "", &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "it is a protected place (credentials)"));
	/* That is an option of its own. */
	ck_assert_int_eq(reach(path_of("home/.ssh"), "ro", &err), 0);
	end();
}
END_TEST

UNIT_MAIN("share_check", one_share_beside_one_that_reaches_far, the_home_directory_by_another_name,
	  the_home_directory_behind_sudo, within_a_secret_place)
