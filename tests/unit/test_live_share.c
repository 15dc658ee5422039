/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of a running sandbox: policies with one more or one less, and the way to a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/control/share_links.h"
#include "vmm/policy/live_share.h"

static struct policy *parse(const char *text, const struct policy_share *share, size_t shares)
{
	const struct policy_source source = {.name = "test",
					     .directory = "/",
					     .cwd = "/",
					     .home = "/root",
					     .share = share,
					     .shares = shares};
	struct policy *policy;
	struct err err = {""};

	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

static enum policy_verdict decide(const struct policy *policy, enum policy_op op, const char *path)
{
	const struct policy_request request = {.class = POLICY_FILE,
					       .op = op,
					       .object = path,
					       .length = strlen(path),
					       .root = POLICY_ROOT_FIND};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

static const struct policy_share data = {.host = "/tmp", .guest = "/data", .uid = -1, .gid = -1};

START_TEST(a_share_comes_behind_the_rules)
{
	struct policy *policy =
			      parse("policy 1\nshare /tmp /other\nfile read /**/fixed\n", NULL, 0),
		      *made, *back;
	struct err err = {""};

	ck_assert_int_ne(decide(policy, POLICY_WRITE, "/data/x"), POLICY_ALLOW);
	ck_assert_int_eq(policy_with_share(&made, policy, &data, &err), 0);
	ck_assert_uint_eq(policy_share_count(made), 2);
	ck_assert_int_eq(decide(made, POLICY_WRITE, "/data/x"), POLICY_ALLOW);
	ck_assert_int_ne(decide(made, POLICY_WRITE, "/data/fixed"), POLICY_ALLOW);
	ck_assert_int_eq(decide(made, POLICY_READ, "/data/fixed"), POLICY_ALLOW);
	/* Twice at one place is an error, and so is a path that is none. */
	ck_assert_int_lt(policy_with_share(&back, made, &data, &err), 0);
	ck_assert_ptr_null(back);
	ck_assert_int_eq(policy_without_share(&back, made, "/data", &err), 0);
	ck_assert_uint_eq(policy_share_count(back), 1);
	ck_assert_int_ne(decide(back, POLICY_WRITE, "/data/x"), POLICY_ALLOW);
	policy_free(back);
	policy_free(made);
	policy_free(policy);
}
END_TEST

START_TEST(only_shares_of_the_command_line_go)
{
	const struct policy_share given[] = {
		{.host = "/tmp", .guest = "/a", .uid = -1, .gid = -1},
		{.host = "/tmp", .guest = "/b", .read_only = true, .uid = -1, .gid = -1}};
	struct policy *policy =
		parse("policy 1\nshare /tmp /fixed\nfile write /fixed/**\n", given, 2);
	struct policy *made;
	struct err err = {""};

	ck_assert_int_eq(policy_without_share(&made, policy, "/fixed", &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "test:2"));
	ck_assert_int_eq(policy_without_share(&made, policy, "/none", &err), -ENOENT);
	ck_assert_ptr_null(made);
	ck_assert_int_eq(policy_without_share(&made, policy, "/a", &err), 0);
	ck_assert_uint_eq(policy_share_count(made), 2);
	ck_assert_int_eq(decide(made, POLICY_READ, "/b/x"), POLICY_ALLOW);
	ck_assert_int_ne(decide(made, POLICY_READ, "/a/x"), POLICY_ALLOW);
	policy_free(made);
	policy_free(policy);
}
END_TEST

START_TEST(so_many_at_most)
{
	struct policy_share share = data;
	struct policy *policy = parse("policy 1\n", NULL, 0), *made;
	struct err err = {""};
	char guest[16];
	unsigned i;
	int ret = 0;

	share.guest = guest;
	for (i = 0; i <= POLICY_SHARES_MAX && ret == 0; i++) {
		snprintf(guest, sizeof(guest), "/%u", i);
		ret = policy_with_share(&made, policy, &share, &err);
		if (ret == 0) {
			policy_free(policy);
			policy = made;
		}
	}
	ck_assert_int_eq(ret, -E2BIG);
	ck_assert_uint_eq(policy_share_count(policy), POLICY_SHARES_MAX);
	policy_free(policy);
}
END_TEST

/* --- the way ---------------------------------------------------------------------------------- */

static char top[] = "/tmp/cordon-test-links.XXXXXX";

static const char *at(const char *path)
{
	static char full[2][512];
	static unsigned turn;

	turn ^= 1;
	snprintf(full[turn], sizeof(full[0]), "%s/%s", top, path);
	return full[turn];
}

/* What opening has given: 0 if it is the directory, or -errno. Closes fd. */
static int is_directory(int fd, const struct err *err, const char *to)
{
	struct stat is, wanted;

	if (fd < 0) {
		ck_assert_str_ne(err->text, "");
		return fd;
	}
	ck_assert_int_eq(fstat(fd, &is), 0);
	ck_assert_int_eq(stat(to, &wanted), 0);
	close(fd);
	return is.st_ino == wanted.st_ino && is.st_dev == wanted.st_dev ? 0 : -EXDEV;
}

/* 0 if it leads to the directory, or -errno. */
static int leads(const struct policy *policy, const char *path, const char *to)
{
	struct err err = {""};
	struct share_tops tops = {.count = 0};
	int fd;

	ck_assert_int_eq(share_tops_of(&tops, policy), 0);
	fd = share_links_open(&tops, path, "share", &err);
	share_tops_free(&tops);
	return is_directory(fd, &err, to);
}

START_TEST(links_of_a_guest_are_not_followed)
{
	struct policy_share share = {.guest = "/s", .uid = -1, .gid = -1};
	struct policy *policy, *none = parse("policy 1\n", NULL, 0), *fixed;
	char longest[5000], command[128];

	ck_assert_ptr_nonnull(mkdtemp(top));
	mkdir(at("shared"), 0755);
	mkdir(at("shared/d"), 0755);
	mkdir(at("plain"), 0755);
	close(open(at("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	ck_assert_int_eq(symlink("../plain", at("shared/out")), 0);
	ck_assert_int_eq(symlink("d", at("shared/in")), 0);
	ck_assert_int_eq(symlink("shared/d", at("way")), 0);
	ck_assert_int_eq(symlink("shared/out", at("astray")), 0);
	ck_assert_int_eq(symlink(top, at("up")), 0);
	ck_assert_int_eq(symlink("loop", at("loop")), 0);
	share.host = at("shared");
	policy = parse("policy 1\n", &share, 1);
	share.read_only = true;
	fixed = parse("policy 1\n", &share, 1);
	ck_assert_int_eq(leads(policy, at("plain"), at("plain")), 0);
	ck_assert_int_eq(leads(policy, at("shared/d"), at("shared/d")), 0);
	ck_assert_int_eq(leads(policy, at("way"), at("shared/d")), 0);
	ck_assert_int_eq(leads(policy, at("up/./up//plain/../shared/"), at("shared")), 0);
	ck_assert_int_eq(leads(policy, "/", "/"), 0);
	ck_assert_int_eq(leads(policy, "//", "/"), 0);
	ck_assert_int_eq(leads(policy, at("shared/out"), at("plain")), -ELOOP);
	ck_assert_int_eq(leads(policy, at("shared/in"), at("shared/d")), -ELOOP);
	ck_assert_int_eq(leads(policy, at("shared/d/../in"), at("shared/d")), -ELOOP);
	ck_assert_int_eq(leads(policy, at("astray"), at("plain")), -ELOOP);
	/* Nor '..' of a directory that a guest can move; it can't move the share itself. */
	ck_assert_int_eq(leads(policy, at("shared/d/.."), at("shared")), -ELOOP);
	ck_assert_int_eq(leads(policy, at("shared/d/../../plain"), at("plain")), -ELOOP);
	ck_assert_int_eq(leads(policy, at("shared/../plain"), at("plain")), 0);
	ck_assert_int_eq(leads(policy, at("shared/./d"), at("shared/d")), 0);
	ck_assert_int_eq(leads(fixed, at("shared/d/../../plain"), at("plain")), 0);
	/* Links that no guest can make: in a share that is read-only, in none. */
	ck_assert_int_eq(leads(fixed, at("shared/out"), at("plain")), 0);
	ck_assert_int_eq(leads(none, at("astray"), at("plain")), 0);
	ck_assert_int_eq(leads(policy, at("loop"), "/"), -ELOOP);
	ck_assert_int_eq(leads(policy, at("missing"), "/"), -ENOENT);
	ck_assert_int_eq(leads(policy, at("file"), "/"), -ENOTDIR);
	ck_assert_int_eq(leads(policy, at("file/x"), "/"), -ENOTDIR);
	ck_assert_int_eq(leads(policy, "", "/"), -ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(leads(policy, longest, "/"), -ENAMETOOLONG);
	/* Relative, from the working directory. */
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(leads(policy, "plain", at("plain")), 0);
	ck_assert_int_eq(leads(policy, "./shared/out", at("plain")), -ELOOP);
	ck_assert_int_eq(chdir("/"), 0);
	policy_free(policy);
	policy_free(fixed);
	policy_free(none);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* 0 if the file's directory is this one and the file's name is "f", or -errno. */
static int leads_to_file(const struct share_tops *tops, const char *path, const char *to)
{
	struct err err = {""};
	const char *name;
	int fd = share_links_open_parent(tops, path, "file", &name, &err);

	if (fd >= 0)
		ck_assert_str_eq(name, path[strlen(path) - 1] == '/' ? "" : "f");
	return is_directory(fd, &err, to);
}

START_TEST(a_file_is_not_written_through_links_of_a_guest)
{
	struct share_tops tops = {.count = 0}, none = {.count = 0};
	char command[128];

	strcpy(top, "/tmp/cordon-test-links.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	mkdir(at("shared"), 0755);
	mkdir(at("shared/d"), 0755);
	mkdir(at("plain"), 0755);
	ck_assert_int_eq(symlink("../plain", at("shared/out")), 0);
	ck_assert_int_eq(symlink("../plain/g", at("shared/d/f")), 0);
	ck_assert_int_eq(symlink("plain", at("link")), 0);
	ck_assert_int_eq(symlink("plain", at("f")), 0);
	ck_assert_int_eq(share_tops_add(&tops, at("shared")), 0);
	ck_assert_int_eq(share_tops_add(&tops, at("shared")), 0);
	ck_assert_uint_eq(tops.count, 1);
	ck_assert_int_eq(leads_to_file(&tops, at("plain/f"), at("plain")), 0);
	ck_assert_int_eq(leads_to_file(&tops, at("link/f"), at("plain")), 0);
	ck_assert_int_eq(leads_to_file(&tops, at("shared/f"), at("shared")), 0);
	ck_assert_int_eq(leads_to_file(&tops, at("plain/"), at("plain")), 0);
	ck_assert_int_eq(leads_to_file(&tops, at("shared/out/f"), at("plain")), -ELOOP);
	/* Nor is a link of that name replaced, where a guest may have made it. */
	ck_assert_int_eq(leads_to_file(&tops, at("shared/d/f"), at("shared/d")), -ELOOP);
	ck_assert_int_eq(leads_to_file(&tops, at("f"), top), 0);
	ck_assert_int_eq(leads_to_file(&none, at("shared/out/f"), at("plain")), 0);
	ck_assert_int_eq(leads_to_file(&none, at("shared/d/f"), at("shared/d")), 0);
	ck_assert_int_eq(leads_to_file(&tops, at("none/f"), top), -ENOENT);
	ck_assert_int_eq(leads_to_file(&tops, "", top), -ENOENT);
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(leads_to_file(&tops, "f", top), 0);
	ck_assert_int_eq(leads_to_file(&tops, "shared/out/f", top), -ELOOP);
	ck_assert_int_eq(chdir("/"), 0);
	share_tops_free(&tops);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* The text of such a link is no path: here it is that of a directory that is gone. */
START_TEST(links_of_procfs_are_the_kernels)
{
	struct share_tops tops = {.count = 0};
	char directory[] = "/tmp/live-share.XXXXXX", path[64];
	struct stat one, other;
	struct err err;
	int fd, opened;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(rmdir(directory), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = share_links_open(&tops, path, "share", &err);
	ck_assert_msg(opened >= 0, "%s", err.text);
	ck_assert_int_eq(fstat(fd, &one), 0);
	ck_assert_int_eq(fstat(opened, &other), 0);
	ck_assert(one.st_ino == other.st_ino && one.st_dev == other.st_dev);
	close(opened);
	close(fd);
}
END_TEST

UNIT_MAIN("live_share", a_share_comes_behind_the_rules, only_shares_of_the_command_line_go,
	  so_many_at_most, links_of_a_guest_are_not_followed,
	  a_file_is_not_written_through_links_of_a_guest, links_of_procfs_are_the_kernels)
