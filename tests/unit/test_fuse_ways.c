/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: other spellings of denied paths, links, and the places where git writes. */
#include "tests/support/files_attacks.h"
#include "tests/unit/fuse_common.h"

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

	fc_cat(client, path, text, sizeof(text));
	judge(path, text);
}

/* The guest's kernel would follow its links; so does this. */
static void through_links(void)
{
	char name[32], target[300], path[320];
	size_t i;

	for (i = 0; files_link_targets[i]; i++) {
		snprintf(name, sizeof(name), "link%zu", i);
		ck_assert_int_eq(fc_symlink(client, ROOT, name, files_link_targets[i]), 0);
		try_path(name);
		snprintf(path, sizeof(path), "%s/f", name);
		try_path(path);
		ck_assert_int_eq(fc_readlink(client, node_of(name), target, sizeof(target)), 0);
		try_path(target);
	}
}

/* Reads through whatever a node and a handle can be made to stand for. */
static void drain(uint64_t node, uint64_t fh, const char *way)
{
	struct fuse_open_out open = {.fh = 0};
	char text[256] = "";
	size_t n = 0;

	fc_read(client, node, fh, 0, sizeof(text) - 1, text, &n);
	text[n] = '\0';
	judge(way, text);
	fc_open(client, node, O_RDONLY, &open);
	fc_read(client, node, open.fh, 0, sizeof(text) - 1, text, &n);
	text[n] = '\0';
	judge(way, text);
	fc_release(client, node, open.fh);
	fc_release(client, node, fh);
}

/* Moves, exchanges, links and removals around a node that stands for the denied file. */
static void through_nodes(const char *directory, const char *name)
{
	static const uint32_t flags[] = {O_RDONLY,	   O_RDWR,
					 O_WRONLY,	   O_RDONLY | O_APPEND,
					 O_RDWR | O_TRUNC, O_WRONLY | O_APPEND,
					 O_PATH,	   O_DIRECTORY,
					 __O_TMPFILE};
	const char *moved = directory[0] ? directory : "nothing";
	struct fuse_open_out open;
	uint64_t parent = ROOT, node = 0, fh = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fc_go(client, directory, &parent);
		fc_walk(client, parent, name, &node);
		if (fc_open(client, node, flags[i], &open) == 0)
			drain(node, open.fh, "open flags");
		fc_link(client, ROOT, "linked", node);
		drain(node, 0, "link");
		try_path("linked");
		fc_rename(client, parent, name, ROOT, "moved", 0);
		try_path("moved");
		fc_rename(client, parent, name, ROOT, "f", RENAME_EXCHANGE);
		try_path("f");
		drain(node, 0, "rename");
		fc_rename(client, ROOT, moved, ROOT, "moved-directory", 0);
		try_path("moved-directory/f");
		try_path("moved-directory/.env");
		fc_rename(client, ROOT, "moved-directory", ROOT, moved, 0);
		fc_rename(client, ROOT, moved, ROOT, "log", RENAME_EXCHANGE);
		try_path("log/f");
		fc_rename(client, ROOT, moved, ROOT, "log", RENAME_EXCHANGE);
		if (fc_create(client, parent, name, flags[i], 0777, &node, &fh) == 0)
			drain(node, fh, "create");
	}
}

START_TEST(five_hundred_other_spellings_of_what_is_denied)
{
	char text[64];

	begin_ruled(ruled, false);
	ck_assert_int_eq(fc_cat(client, "denied/f", text, sizeof(text)), EACCES);
	files_spellings("denied/f", try_path);
	files_spellings("d/.env", try_path);
	files_spellings(".env", try_path);
	through_links();
	through_nodes("denied", "f");
	through_nodes("", ".env");
	through_nodes("d", ".env");
	ck_assert_uint_ge(attempts, 500);
	ck_assert_msg(reached == 0, "reached %u times, at last by %s", reached, last);
	/* The twin: the same client and code reach what is allowed, so the attempts were real. */
	ck_assert_int_eq(fc_cat(client, "read/f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "read");
	end_ruled();
	begin_ruled("file write /w/**\n", false);
	attempts = reached = 0;
	try_path("denied/f");
	try_path("d/.env");
	through_nodes("denied", "f");
	ck_assert_uint_gt(reached, 4);
	files_host_end(&host);
}
END_TEST

/* The host's git writes to these by itself, and follows a link there. */
START_TEST(no_link_stands_where_git_writes)
{
	static const char *const names[] = {"COMMIT_EDITMSG", "MERGE_MSG", "index", "FETCH_HEAD"};
	uint64_t git, logs, prepared;
	struct stat stat;
	size_t i;

	begin_fuse("file write /w/**\n", false);
	host_mkdir(&host, ".git");
	host_mkdir(&host, ".git/logs");
	host_write(&host, ".git/HEAD", "ref: x");
	ck_assert_int_eq(fc_symlink(client, ROOT, "link", "../secret"), 0);
	git = node_of(".git");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(fc_symlink(client, git, names[i], "../../secret"), EACCES);
		ck_assert_int_eq(fc_rename(client, ROOT, "link", git, names[i], 0), EACCES);
		ck_assert_int_eq(fc_link(client, git, names[i], node_of("link")), EACCES);
	}
	ck_assert_int_eq(fc_rename(client, ROOT, "link", git, "HEAD", 0), EACCES);
	ck_assert_int_eq(fc_rename(client, ROOT, "link", git, "HEAD", RENAME_EXCHANGE), EACCES);
	ck_assert_int_eq(fc_rename(client, git, "HEAD", ROOT, "link", RENAME_EXCHANGE), EACCES);
	logs = node_of(".git/logs");
	ck_assert_int_eq(fc_symlink(client, logs, "HEAD", "../../secret"), EACCES);
	ck_assert_str_eq(host_read(&host, ".git/HEAD"), "ref: x");
	/* Files may stand there, and links elsewhere; what git init tries is that, too. */
	host_write(&host, "file", "message");
	ck_assert_int_eq(fc_rename(client, ROOT, "file", git, "COMMIT_EDITMSG", 0), 0);
	ck_assert_str_eq(host_read(&host, ".git/COMMIT_EDITMSG"), "message");
	ck_assert_int_eq(fc_symlink(client, git, "tAbC123", "testing"), 0);
	ck_assert_int_eq(fc_rename(client, git, "tAbC123", git, "index", 0), EACCES);
	/* A directory takes none there. */
	host_mkdir(&host, "prepared");
	host_mkdir(&host, ".git/new");
	prepared = node_of("prepared");
	ck_assert_int_eq(fc_symlink(client, prepared, "HEAD", "../../secret"), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "prepared", git, "refs", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "prepared", git, "logs", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "prepared", git, "logs", RENAME_EXCHANGE), EXDEV);
	ck_assert_int_eq(fc_rename(client, git, "logs", ROOT, "prepared", RENAME_EXCHANGE), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "prepared", ROOT, "sub", 0), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "sub", ROOT, ".git", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, git, "new", git, "refs", 0), EXDEV);
	ck_assert_int_eq(fc_rename(client, ROOT, "sub", git, "kept", 0), 0);
	ck_assert_int_eq(fc_rename(client, git, "kept", ROOT, "prepared", 0), 0);
	ck_assert_int_eq(fc_rename(client, ROOT, "link", ROOT, "other", 0), 0);
	ck_assert_int_eq(lstat(host_path(&host, "other"), &stat), 0);
	ck_assert(S_ISLNK(stat.st_mode));
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_ways", no_link_stands_where_git_writes,
	  five_hundred_other_spellings_of_what_is_denied)
