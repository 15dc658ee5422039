/* SPDX-License-Identifier: Apache-2.0 */
/* Other spellings of denied paths, and links. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_attacks.h"
#include "tests/support/unit.h"
#include "tests/unit/files_policy_common.h"

/* --- five hundred ways ------------------------------------------------------------------------ */

static unsigned attempts, reached;

/* Whatever bytes came out of a way: the denied contents must not be among them. */
static void judge(const char *path, const char *text)
{
	attempts++;
	if (strstr(text, "denied") || strstr(text, "hidden")) {
		reached++;
		snprintf(last, sizeof(last), "%s", path);
	}
}

static void try_path(const char *path)
{
	char text[64];

	p9c_cat(client, path, text, sizeof(text));
	judge(path, text);
}

/* Through links that the host or the guest has made; the guest's kernel would follow them, so do
 * we. */
static void through_links(void)
{
	char name[32], target[300], path[320];
	size_t i;

	for (i = 0; files_link_targets[i]; i++) {
		snprintf(name, sizeof(name), "link%zu", i);
		ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, name, files_link_targets[i]), 0);
		try_path(name);
		snprintf(path, sizeof(path), "%s/f", name);
		try_path(path);
		ck_assert_int_eq(p9c_go(client, name, 50), 0);
		ck_assert_int_eq(p9c_readlink(client, 50, target, sizeof(target)), 0);
		p9c_clunk(client, 50);
		try_path(target);
	}
}

/* Read through whatever a fid can be made to stand for. */
static void drain(uint32_t fid, const char *way)
{
	char text[256] = "";
	size_t n = 0;

	p9c_open(client, fid, P9_RDONLY);
	p9c_read(client, fid, 0, sizeof(text) - 1, text, &n);
	text[n] = '\0';
	judge(way, text);
	p9c_clunk(client, fid);
}

/* Moves, links and removals around a fid that stands for the denied file. */
static void through_fids(const char *directory, const char *name)
{
	static const uint32_t flags[] = {P9_RDONLY,
					 P9_RDWR,
					 P9_WRONLY,
					 P9_RDONLY | P9_APPEND,
					 P9_RDWR | P9_TRUNC,
					 P9_WRONLY | P9_APPEND,
					 040000u};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p9c_go(client, directory, 50);
		p9c_walk(client, 50, 51, name, NULL);
		p9c_open(client, 51, flags[i]);
		drain(51, "open flags");
		p9c_walk(client, 50, 51, name, NULL);
		p9c_link(client, P9C_ROOT, 51, "linked");
		drain(51, "link");
		try_path("linked");
		p9c_walk(client, 50, 51, name, NULL);
		p9c_rename(client, 51, P9C_ROOT, "moved");
		drain(51, "rename");
		try_path("moved");
		p9c_renameat(client, P9C_ROOT, directory[0] ? directory : "nothing", P9C_ROOT,
			     "moved-directory");
		try_path("moved-directory/f");
		try_path("moved-directory/.env");
		p9c_renameat(client, P9C_ROOT, "moved-directory", P9C_ROOT, directory);
		p9c_renameat(client, 50, name, P9C_ROOT, "moved");
		try_path("moved");
		p9c_walk(client, P9C_ROOT, 51, "", NULL);
		p9c_create(client, 50, name, flags[i], 0777);
		drain(50, "create");
		p9c_clunk(client, 51);
	}
}

START_TEST(five_hundred_other_spellings_of_what_is_denied)
{
	char text[64];

	begin(rules, false);
	ck_assert_int_eq(p9c_cat(client, "denied/f", text, sizeof(text)), EACCES);
	files_spellings("denied/f", try_path);
	files_spellings("d/.env", try_path);
	files_spellings(".env", try_path);
	through_links();
	through_fids("denied", "f");
	through_fids("", ".env");
	through_fids("d", ".env");
	ck_assert_uint_ge(attempts, 500);
	ck_assert_msg(reached == 0, "reached %u times, at last by %s", reached, last);
	/* The twin: the same client and code reach what is allowed, so the attempts were real. */
	ck_assert_int_eq(p9c_cat(client, "read/f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "read");
	end();
	begin("file write /w/**\n", false);
	attempts = reached = 0;
	try_path("denied/f");
	try_path("d/.env");
	through_fids("denied", "f");
	ck_assert_uint_gt(reached, 4);
	files_host_end(&host);
}
END_TEST

/* The host's git writes to these by itself, and follows a link there. */
START_TEST(no_link_stands_where_git_writes)
{
	static const char *const names[] = {"COMMIT_EDITMSG", "MERGE_MSG", "index", "FETCH_HEAD"};
	struct stat stat;
	size_t i;

	files_host_begin(&host, "file write /w/**\n", false);
	host_mkdir(&host, ".git");
	host_mkdir(&host, ".git/logs");
	host_write(&host, ".git/HEAD", "ref: x");
	ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, "link", "../secret"), 0);
	ck_assert_int_eq(p9c_go(client, ".git", 2), 0);
	ck_assert_int_eq(p9c_go(client, "link", 3), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(p9c_symlink(client, 2, names[i], "../../secret"), EACCES);
		ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "link", 2, names[i]), EACCES);
		ck_assert_int_eq(p9c_rename(client, 3, 2, names[i]), EACCES);
		ck_assert_int_eq(p9c_link(client, 2, 3, names[i]), EACCES);
	}
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "link", 2, "HEAD"), EACCES);
	ck_assert_int_eq(p9c_go(client, ".git/logs", 4), 0);
	ck_assert_int_eq(p9c_symlink(client, 4, "HEAD", "../../secret"), EACCES);
	ck_assert_str_eq(host_read(&host, ".git/HEAD"), "ref: x");
	/* Files may stand there, and links elsewhere; what git init tries is that, too. */
	host_write(&host, "file", "message");
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "file", 2, "COMMIT_EDITMSG"), 0);
	ck_assert_str_eq(host_read(&host, ".git/COMMIT_EDITMSG"), "message");
	ck_assert_int_eq(p9c_symlink(client, 2, "tAbC123", "testing"), 0);
	ck_assert_int_eq(p9c_renameat(client, 2, "tAbC123", 2, "index"), EACCES);
	/* A directory takes none there. */
	host_mkdir(&host, "prepared");
	host_mkdir(&host, ".git/new");
	ck_assert_int_eq(p9c_go(client, "prepared", 5), 0);
	ck_assert_int_eq(p9c_symlink(client, 5, "HEAD", "../../secret"), 0);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "prepared", 2, "refs"), EXDEV);
	ck_assert_int_eq(p9c_rename(client, 5, 2, "logs"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "prepared", P9C_ROOT, "sub"), 0);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "sub", P9C_ROOT, ".git"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "sub", P9C_ROOT, "prepared"), 0);
	ck_assert_int_eq(p9c_renameat(client, 2, "new", 2, "refs"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "prepared", 2, "kept"), 0);
	ck_assert_int_eq(p9c_renameat(client, 2, "kept", P9C_ROOT, "prepared"), 0);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "link", P9C_ROOT, "other"), 0);
	ck_assert_int_eq(lstat(host_path(&host, "other"), &stat), 0);
	ck_assert(S_ISLNK(stat.st_mode));
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files_policy_ways", no_link_stands_where_git_writes,
	  five_hundred_other_spellings_of_what_is_denied)
