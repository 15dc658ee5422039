/* SPDX-License-Identifier: Apache-2.0 */
/* Which shares reach audit logs, records, running sandboxes and the cache. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/unit.h"
#include "vmm/launch/policy_file.h"

static char base[64];

static void make(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	ck_assert_msg(mkdir(path, 0700) == 0, "%s: %s", path, strerror(errno));
}

static void begin(void)
{
	static const char *const directories[] = {
		"state", "state/cordon", "state/cordon/box", "run", "work", "work/project", "logs"};
	char path[PATH_MAX], link[PATH_MAX];
	size_t i;

	strcpy(base, "/tmp/cordon-places-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	for (i = 0; i < ARRAY_SIZE(directories); i++)
		make(directories[i]);
	snprintf(path, sizeof(path), "%s/state", base);
	setenv("XDG_STATE_HOME", path, 1);
	snprintf(link, sizeof(link), "%s/work/link", base);
	ck_assert_int_eq(symlink(path, link), 0);
	snprintf(path, sizeof(path), "%s/run", base);
	setenv("XDG_RUNTIME_DIR", path, 1);
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", base);
	ck_assert_int_eq(system(command), 0);
}

/* Checks a share of a directory, with a log or without. */
static int check(const char *share, bool read_only, const char *log, struct err *err)
{
	char text[2 * PATH_MAX], path[PATH_MAX];
	struct policy *policy;
	int ret;

	snprintf(text, sizeof(text), "policy 1\nshare %s%s%s /w%s\nfile read /w/**\n", base,
		 share[0] ? "/" : "", share, read_only ? " ro" : "");
	ret = policy_parse(&policy, text, strlen(text), NULL, err);
	ck_assert_msg(ret == 0, "%s", err->text);
	snprintf(path, sizeof(path), "%s/%s", base, log ? log : "");
	ret = policy_check_places(policy, log ? path : NULL, err);
	policy_free(policy);
	return ret;
}

START_TEST(shares_and_records)
{
	struct err err;

	begin();
	ck_assert_int_eq(check("work", false, NULL, &err), 0);
	ck_assert_int_eq(check("work/project", false, NULL, &err), 0);
	ck_assert_int_eq(check("logs", false, NULL, &err), 0);
	/* above, the directory itself, and in it */
	ck_assert_int_eq(check("", false, NULL, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "records"));
	ck_assert_int_eq(check("state", false, NULL, &err), -EINVAL);
	ck_assert_int_eq(check("state/cordon", false, NULL, &err), -EINVAL);
	ck_assert_int_eq(check("state/cordon/box", false, NULL, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "records"));
	ck_assert_int_eq(check("run", false, NULL, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "running sandboxes"));
	/* by a link */
	ck_assert_int_eq(check("work/link", false, NULL, &err), -EINVAL);
	/* A read-only share cannot change it. */
	ck_assert_int_eq(check("state", true, NULL, &err), 0);
	end();
}
END_TEST

/* The path to the records leads through the share, where the guest could redirect it. */
START_TEST(a_path_through_a_share)
{
	char path[PATH_MAX];
	struct err err;

	begin();
	snprintf(path, sizeof(path), "%s/work/link", base);
	setenv("XDG_STATE_HOME", path, 1);
	ck_assert_int_eq(check("work", false, NULL, &err), -EINVAL);
	ck_assert_int_eq(check("work/project", false, NULL, &err), 0);
	end();
}
END_TEST

START_TEST(missing_directories)
{
	char path[PATH_MAX];
	struct err err;

	begin();
	snprintf(path, sizeof(path), "%s/work/new/state", base);
	setenv("XDG_STATE_HOME", path, 1);
	ck_assert_int_eq(check("work", false, NULL, &err), -EINVAL);
	ck_assert_int_eq(check("work/project", false, NULL, &err), 0);
	/* behind a link: the real parents count */
	snprintf(path, sizeof(path), "%s/work/link/new", base);
	setenv("XDG_STATE_HOME", path, 1);
	ck_assert_int_eq(check("state", false, NULL, &err), -EINVAL);
	end();
}
END_TEST

START_TEST(shares_and_logs)
{
	struct err err;

	begin();
	ck_assert_int_eq(check("work", false, "logs/audit", &err), 0);
	ck_assert_int_eq(check("logs", false, "logs/audit", &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "audit log"));
	ck_assert_int_eq(check("work", false, "work/project/audit", &err), -EINVAL);
	ck_assert_int_eq(check("work/project", false, "work/audit", &err), 0);
	ck_assert_int_eq(check("logs", true, "logs/audit", &err), 0);
	end();
}
END_TEST

/* A guest that wrote a template or an image would run in the sandboxes that start from it. */
START_TEST(shares_and_the_cache)
{
	static const char *const directories[] = {"home", "home/.cache", "home/.cache/cordon",
						  "home/.cache/cordon/images", "home/.cache/pip"};
	char path[PATH_MAX];
	struct err err;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(directories); i++)
		make(directories[i]);
	snprintf(path, sizeof(path), "%s/home", base);
	setenv("HOME", path, 1);
	unsetenv("XDG_CACHE_HOME");
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(check(directories[i], false, NULL, &err), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, "cache of templates"));
		ck_assert_int_eq(check(directories[i], true, NULL, &err), 0);
	}
	ck_assert_int_eq(check("home/.cache/pip", false, NULL, &err), 0);
	snprintf(path, sizeof(path), "%s/work/cache", base);
	setenv("XDG_CACHE_HOME", path, 1);
	ck_assert_int_eq(check("home/.cache", false, NULL, &err), 0);
	/* It is yet to be made. */
	ck_assert_int_eq(check("work", false, NULL, &err), -EINVAL);
	/* Without any cache */
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	ck_assert_int_eq(check("home", false, NULL, &err), 0);
	end();
}
END_TEST

UNIT_MAIN("places", shares_and_records, a_path_through_a_share, missing_directories,
	  shares_and_logs, shares_and_the_cache)
