/* SPDX-License-Identifier: Apache-2.0 */
/* The file server under rules: every way to a path that is denied, with a twin that is allowed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"

static struct files_host host;
static struct p9_client *const client = &host.client;

static const char rules[] = "file hide   /w/**/.env\n"
			    "file deny   /w/denied/**\n"
			    "file read   /w/read/**\n"
			    "file append /w/log/**\n"
			    "file write  /w/**\n";

static void begin(const char *policy, bool read_only)
{
	files_host_begin(&host, policy, read_only);
	host_mkdir(&host, "denied");
	host_write(&host, "denied/f", "denied");
	host_mkdir(&host, "read");
	host_write(&host, "read/f", "read");
	host_mkdir(&host, "log");
	host_write(&host, "log/f", "log");
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "d");
	host_write(&host, "d/.env", "hidden");
	host_write(&host, ".env", "hidden");
	host_write(&host, "f", "f");
}

static void end(void)
{
	/* Whatever was tried, these are as they were. */
	ck_assert_str_eq(host_read(&host, "denied/f"), "denied");
	ck_assert_str_eq(host_read(&host, "read/f"), "read");
	ck_assert_str_eq(host_read(&host, ".env"), "hidden");
	ck_assert_str_eq(host_read(&host, "d/.env"), "hidden");
	files_host_end(&host);
}

START_TEST(verdicts_open_what_they_say)
{
	struct p9_attributes attributes;

	begin(rules, false);
	ck_assert_int_eq(p9c_try_open(client, "denied/f", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "denied/f", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "denied", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_stat(client, "denied/f", &attributes), 0);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_RDONLY), 0);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_RDWR), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "read/f", P9_RDONLY | P9_TRUNC), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_RDONLY), 0);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_WRONLY | P9_APPEND | P9_TRUNC), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "log/f", P9_WRONLY | P9_APPEND), 0);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_RDWR | P9_TRUNC), 0);
	end();
}
END_TEST

START_TEST(who_may_append_can_not_overwrite)
{
	size_t n;

	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, "log/f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR | P9_APPEND), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "more", 4, &n), 0);
	ck_assert_str_eq(host_read(&host, "log/f"), "logmore");
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_SIZE, 0, 0), EACCES);
	ck_assert_int_eq(p9c_setattr(client, 2, P9_SETATTR_MODE, 0777, 0), EACCES);
	ck_assert_int_eq(p9c_go(client, "log", 3), 0);
	ck_assert_int_eq(p9c_unlink(client, 3, "f", 0), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 3, "f", P9C_ROOT, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 2, "g"), EACCES);
	ck_assert_int_eq(p9c_mkdir(client, 3, "new", 0755), 0);
	ck_assert_int_eq(p9c_create(client, 3, "made", P9_WRONLY | P9_APPEND, 0644), 0);
	ck_assert_int_eq(p9c_write(client, 3, 0, "a", 1, &n), 0);
	ck_assert_int_eq(p9c_write(client, 3, 0, "b", 1, &n), 0);
	ck_assert_str_eq(host_read(&host, "log/made"), "ab");
	end();
}
END_TEST

START_TEST(what_is_hidden_does_not_exist)
{
	struct p9_attributes attributes;
	char names[400];

	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, ".env", 2), ENOENT);
	ck_assert_int_eq(p9c_go(client, "d/.env", 2), ENOENT);
	ck_assert_int_eq(p9c_go(client, ".nothing", 2), ENOENT); /* it looks the same */
	ck_assert_int_eq(p9c_stat(client, ".env", &attributes), ENOENT);
	ck_assert_int_eq(p9c_ls(client, "d", names, sizeof(names)), 0);
	ck_assert_ptr_null(strstr(names, ".env"));
	ck_assert_ptr_nonnull(strstr(names, "f\n"));
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, ".env", 0), ENOENT);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, ".env", P9C_ROOT, "g"), ENOENT);
	/* To make it is refused, whether it is there or not, in the same words. */
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, ".env", 0755), EACCES);
	ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, ".env", "x"), EACCES);
	ck_assert_int_eq(p9c_go(client, "log", 3), 0);
	ck_assert_int_eq(p9c_mkdir(client, 3, ".env", 0755), EACCES);
	ck_assert_int_eq(p9c_go(client, "", 2), 0);
	ck_assert_int_eq(p9c_create(client, 2, ".env", P9_RDWR, 0644), EACCES);
	ck_assert_int_eq(p9c_create(client, 3, ".env", P9_RDWR | P9_EXCL, 0644), EACCES);
	ck_assert_int_eq(p9c_go(client, "f", 4), 0);
	ck_assert_int_eq(p9c_rename(client, 4, P9C_ROOT, ".env"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 4, ".env"), EACCES);
	ck_assert_int_eq(p9c_rename(client, 4, P9C_ROOT, ".envy"), 0);
	end();
}
END_TEST

START_TEST(both_ends_of_renames_and_links_count)
{
	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, "denied", 2), 0);
	ck_assert_int_eq(p9c_go(client, "read", 3), 0);
	ck_assert_int_eq(p9c_go(client, "d", 4), 0);
	ck_assert_int_eq(p9c_renameat(client, 2, "f", P9C_ROOT, "g"), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 3, "f", P9C_ROOT, "g"), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 4, "f", 2, "f"), EACCES);
	ck_assert_int_eq(p9c_renameat(client, 4, "f", 3, "g"), EACCES);
	ck_assert_int_eq(p9c_go(client, "denied/f", 5), 0);
	ck_assert_int_eq(p9c_go(client, "read/f", 6), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 7), 0);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 5, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 6, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, 2, 7, "g"), EACCES);
	ck_assert_int_eq(p9c_link(client, 3, 7, "g"), EACCES);
	ck_assert_int_eq(p9c_symlink(client, 3, "s", "../denied/f"), EACCES);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 7, "g"), 0);
	ck_assert_int_eq(p9c_renameat(client, 4, "f", P9C_ROOT, "h"), 0);
	end();
}
END_TEST

START_TEST(directories_move_only_where_rules_do_not_tell_the_places_apart)
{
	begin("file read   /w/project/.git/hooks/**\n"
	      "file hide   /w/**/.env\n"
	      "file write  /w/**\n",
	      false);
	host_mkdir(&host, "project");
	host_mkdir(&host, "project/.git");
	host_mkdir(&host, "project/.git/hooks");
	host_write(&host, "project/.git/hooks/run", "hook");
	host_mkdir(&host, "fake");
	host_mkdir(&host, "fake/hooks");
	host_write(&host, "fake/hooks/run", "evil");
	host_mkdir(&host, "plain");
	host_write(&host, "plain/.env", "moves along, still hidden");
	ck_assert_int_eq(p9c_go(client, "project", 2), 0);
	/* Away from its rule, and into the place of a rule: copied instead, entry by entry. */
	ck_assert_int_eq(p9c_renameat(client, 2, ".git", 2, "git"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "project", P9C_ROOT, "other"), EXDEV);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "fake", 2, ".git"), EXDEV);
	/* A file too: it could turn into a directory at the last moment. */
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "f", 2, ".git"), EXDEV);
	ck_assert(host_has(&host, "project/.git/hooks/run"));
	ck_assert(host_has(&host, "fake"));
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "plain", 2, "plain"), 0);
	ck_assert_int_eq(p9c_go(client, "project/plain/.env", 3), ENOENT);
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "fake", P9C_ROOT, "fake2"), 0);
	end();
}
END_TEST

START_TEST(a_read_only_share_is_that_whatever_the_rules_say)
{
	char text[16];

	begin(rules, true);
	ck_assert_int_eq(p9c_cat(client, "d/f", text, sizeof(text)), 0);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_WRONLY), EROFS);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_RDONLY | P9_TRUNC), EROFS);
	ck_assert_int_eq(p9c_go(client, "d", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 3), 0);
	ck_assert_int_eq(p9c_mkdir(client, 2, "x", 0755), EROFS);
	ck_assert_int_eq(p9c_symlink(client, 2, "x", "y"), EROFS);
	ck_assert_int_eq(p9c_link(client, 2, 3, "x"), EROFS);
	ck_assert_int_eq(p9c_rename(client, 3, 2, "x"), EROFS);
	ck_assert_int_eq(p9c_renameat(client, 2, "f", 2, "x"), EROFS);
	ck_assert_int_eq(p9c_unlink(client, 2, "f", 0), EROFS);
	ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_MODE, 0777, 0), EROFS);
	ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_SIZE, 0, 0), EROFS);
	p9c_begin(client, P9_TXATTRCREATE);
	p9c_u32(client, 3);
	p9c_string(client, "user.x");
	p9c_u64(client, 0);
	p9c_u32(client, 0);
	ck_assert_int_eq(p9c_send(client), EROFS);
	ck_assert_int_eq(p9c_remove(client, 3), EROFS);
	ck_assert_int_eq(p9c_create(client, 2, "x", P9_RDWR, 0644), EROFS);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, ".env", 0), ENOENT);
	ck_assert_str_eq(host_read(&host, "d/f"), "d");
	ck_assert(!host_has(&host, "d/x"));
	end();
}
END_TEST

START_TEST(without_a_rule_nothing_opens)
{
	struct p9_attributes attributes;

	begin("file write /w/elsewhere/**\n", false);
	ck_assert_int_eq(p9c_try_open(client, "d/f", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "x", 0755), EACCES);
	ck_assert_int_eq(p9c_stat(client, "d/f", &attributes), 0);
	end();
}
END_TEST

START_TEST(a_new_policy_holds_for_fids_that_are_there)
{
	size_t n;

	begin(rules, false);
	ck_assert_int_eq(p9c_go(client, "d/f", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d/f", 3), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDWR), 0);
	files_host_replace(&host, "file hide /w/d\nfile read /w/**\n");
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), ENOENT);
	ck_assert_int_eq(p9c_write(client, 3, 0, "x", 1, &n), EACCES);
	ck_assert_int_eq(p9c_read(client, 3, 0, 1, (char[1]){0}, &n), EACCES);
	files_host_replace(&host, rules);
	ck_assert_int_eq(p9c_write(client, 3, 0, "x", 1, &n), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	end();
}
END_TEST

/* --- five hundred ways -------------------------------------------------------------------------
 */

static unsigned attempts, reached;
static char last[256]; /* way that led there */

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

/* A path with something put in before each of its components, and between any two letters. */
static void spellings(const char *path)
{
	static const char *const extra[] = {"./",
					    "../",
					    "//",
					    "d/../",
					    "d/../d/../",
					    "\x2e/",
					    "%2e/",
					    ".\\",
					    "\xc0\xae\xc0\xae/",
					    " ",
					    "\t",
					    "\x01",
					    "\xe2\x80\x8b",
					    "~/",
					    "$PWD/",
					    "f/../",
					    "log/../"};
	char text[256];
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(extra); i++)
		for (at = 0; at <= strlen(path); at++) {
			snprintf(text, sizeof(text), "%.*s%s%s", (int)at, path, extra[i],
				 path + at);
			try_path(text);
		}
	/* Other cases of each letter. */
	for (at = 0; at < strlen(path); at++) {
		snprintf(text, sizeof(text), "%s", path);
		text[at] ^= 0x20;
		try_path(text);
	}
}

/* Through links that the host or the guest has made; the guest's kernel would follow them, so do
 * we. */
static void through_links(void)
{
	static const char *const targets[] = {"denied",
					      "denied/f",
					      "../share/denied/f",
					      "./denied/./f",
					      ".env",
					      "/w/denied/f",
					      "/proc/self/cwd",
					      "/proc/self/root",
					      "/proc/self/fd/3",
					      "d/.env",
					      "../secret",
					      "../../../../etc/passwd",
					      "denied/../.env"};
	char name[32], target[128], path[160];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		snprintf(name, sizeof(name), "link%zu", i);
		ck_assert_int_eq(p9c_symlink(client, P9C_ROOT, name, targets[i]), 0);
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
	spellings("denied/f");
	spellings("d/.env");
	spellings(".env");
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

UNIT_MAIN("files_policy", no_link_stands_where_git_writes, verdicts_open_what_they_say,
	  who_may_append_can_not_overwrite, what_is_hidden_does_not_exist,
	  both_ends_of_renames_and_links_count,
	  directories_move_only_where_rules_do_not_tell_the_places_apart,
	  a_read_only_share_is_that_whatever_the_rules_say, without_a_rule_nothing_opens,
	  a_new_policy_holds_for_fids_that_are_there,
	  five_hundred_other_spellings_of_what_is_denied)
