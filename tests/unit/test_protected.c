/* SPDX-License-Identifier: Apache-2.0 */
/* The table of protected places, the presets made from it, and what git may and may not do under
 * them. */
#include "vmm/policy/protected.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/risks.h"

static const struct policy_source here = {
	.name = "p", .directory = "/", .cwd = "/here", .home = "/u"};

static struct err err;

static struct policy *workspace(void)
{
	struct policy *policy;

	ck_assert_msg(policy_preset(&policy, "workspace", &here, &err) == 0, "%s", err.text);
	return policy;
}

static enum policy_verdict decide(const struct policy *policy, enum policy_op op, const char *name,
				  const char *other)
{
	char path[512], to[512];
	struct policy_request request = {.class = POLICY_FILE, .op = op, .object = path};
	struct policy_decision decision;

	request.length = (size_t)snprintf(path, sizeof(path), "/here/%s", name);
	if (other) {
		request.other = to;
		request.other_length = (size_t)snprintf(to, sizeof(to), "/here/%s", other);
		request.directory = true;
	}
	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

static bool writable(const struct policy *policy, const char *name)
{
	return decide(policy, POLICY_WRITE, name, NULL) == POLICY_ALLOW &&
	       decide(policy, POLICY_CREATE, name, NULL) == POLICY_ALLOW;
}

/* --- table and presets ------------------------------------------------------------------------ */

/* Every rule of the preset is an entry of the table, with its patterns in their order; none is
 * missing. */
START_TEST(presets_are_the_table)
{
	const char *text = policy_preset_text("workspace"), *next = text;
	char wanted[16384] = "", found[16384] = "", line[1024], *word, *rest;
	const struct protected_place *place;
	size_t i, length;

	for (i = 0; (place = protected_place(i)); i++) {
		char list[1024];

		if (place->verdict == PROTECTED_WARN)
			continue;
		snprintf(list, sizeof(list), "%s", place->patterns);
		for (word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
			sprintf(wanted + strlen(wanted), "%s $PWD/**/%s\n",
				protected_verdict_name(place->verdict), word);
	}
	strcat(wanted, "write $PWD/**\n");
	for (; *text; text = next) {
		char verdict[16];

		length = strcspn(text, "\n");
		next = text + length + 1;
		ck_assert_uint_lt(length, sizeof(line));
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		if (strncmp(line, "file ", 5) != 0)
			continue;
		strtok_r(line, " ", &rest);
		snprintf(verdict, sizeof(verdict), "%s", strtok_r(NULL, " ", &rest));
		while ((word = strtok_r(NULL, " ", &rest)))
			sprintf(found + strlen(found), "%s %s\n", verdict, word);
	}
	ck_assert_str_eq(found, wanted);
}
END_TEST

struct check {
	const struct policy *policy;
	const struct protected_place *place;
	unsigned count;
};

static bool check_example(void *arg, const char *pattern, size_t length, const char *path)
{
	struct check *check = arg;
	enum policy_verdict write = decide(check->policy, POLICY_WRITE, path, NULL);
	char absolute[512];

	(void)pattern;
	(void)length;
	snprintf(absolute, sizeof(absolute), "/%s", path);
	if (protected_find(absolute, strlen(absolute)) != check->place)
		return true;
	check->count++;
	switch (check->place->verdict) {
	case PROTECTED_HIDE:
		ck_assert_msg(write == POLICY_HIDE, "%s", path);
		break;
	case PROTECTED_READ:
		ck_assert_msg(write == POLICY_DENY, "%s", path);
		ck_assert_msg(decide(check->policy, POLICY_READ, path, NULL) == POLICY_ALLOW, "%s",
			      path);
		ck_assert(policy_protected(absolute, strlen(absolute), true));
		ck_assert(!policy_protected(absolute, strlen(absolute), false));
		break;
	default:
		ck_assert_msg(write == POLICY_ALLOW, "%s", path);
		ck_assert(!policy_protected(absolute, strlen(absolute), true));
	}
	return true;
}

START_TEST(every_entry_decides)
{
	static const char *const deep[] = {"", "a/", "a/b/c/"};
	struct check check = {.policy = workspace()};
	const struct protected_place *place;
	char name[64];
	size_t i;

	for (i = 0; (place = protected_place(i)); i++) {
		check.place = place;
		check.count = 0;
		protected_examples(place, check_example, &check);
		ck_assert_msg(check.count > 0, "nothing is left for '%s'", place->patterns);
		ck_assert_uint_gt(strlen(place->reason), 10);
	}
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s.claude/settings.json", deep[i]);
		ck_assert(!writable(check.policy, name));
		/* What an .envrc that is allowed already takes from its cache. */
		snprintf(name, sizeof(name), "%s.direnv/flake-profile.rc", deep[i]);
		ck_assert(!writable(check.policy, name));
		/* A file to some, a directory to others. */
		snprintf(name, sizeof(name), "%s.clinerules/rule.md", deep[i]);
		ck_assert(!writable(check.policy, name));
		snprintf(name, sizeof(name), "%ssrc/main.c", deep[i]);
		ck_assert(writable(check.policy, name));
	}
	policy_free((struct policy *)check.policy);
}
END_TEST

/* --- git ---------------------------------------------------------------------------------------
 */

/*
 * What add, commit, branch, checkout, stash, merge, cherry-pick, revert, tag, notes, fetch, push,
 * gc, repack and pack-refs of git 2.39 make, write, rename and remove, but for the configuration.
 */
START_TEST(git_works)
{
	static const char *const names[] = {
		"AUTO_MERGE",
		"CHERRY_PICK_HEAD",
		"CHERRY_PICK_HEAD.lock",
		"COMMIT_EDITMSG",
		"FETCH_HEAD",
		"HEAD",
		"HEAD.lock",
		"MERGE_HEAD",
		"MERGE_MODE",
		"MERGE_MSG",
		"MERGE_MSG.lock",
		"ORIG_HEAD",
		"ORIG_HEAD.lock",
		"SQUASH_MSG",
		"gc.pid",
		"gc.pid.lock",
		"index",
		"index.lock",
		"index.stash.3147",
		"index.stash.3147.lock",
		"info/refs",
		"info/refs_kVVbQu",
		"logs/HEAD",
		"logs/HEAD.lock",
		"logs/refs/.tmp-renamed-log",
		"logs/refs/heads/main",
		"logs/refs/heads/main.lock",
		"logs/refs/notes",
		"logs/refs/notes/commits",
		"logs/refs/remotes/origin/main",
		"logs/refs/remotes/origin/HEAD",
		"logs/refs/stash.lock",
		"next-index-3066.lock",
		"objects/ab",
		"objects/ab/cdef0123456789abcdef0123456789abcdef0123",
		"objects/ab/tmp_obj_aZ09xY",
		"objects/info/commit-graph",
		"objects/info/commit-graph.lock",
		"objects/info/commit-graphs/graph-12ab.graph",
		"objects/info/packs",
		"objects/info/packs_ELPGaI",
		"objects/maintenance.lock",
		"objects/pack/.tmp-3315-pack-12ab.idx",
		"objects/pack/pack-12ab.pack",
		"objects/pack/multi-pack-index.lock",
		"objects/pack/tmp_idx_Uqe2mD",
		"packed-refs",
		"packed-refs.lock",
		"packed-refs.new",
		"refs/heads/main",
		"refs/heads/main.lock",
		"refs/heads/feature/config",
		"refs/heads/CLAUDE.md",
		"refs/notes/commits",
		"refs/remotes/origin",
		"refs/remotes/origin/HEAD",
		"refs/remotes/origin/main.lock",
		"refs/stash",
		"refs/tags/v1",
		"shallow.lock",
	};
	struct policy *policy = workspace();
	char name[256], other[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), ".git/%s", names[i]);
		ck_assert_msg(writable(policy, name), "%s", name);
		ck_assert_msg(decide(policy, POLICY_REMOVE, name, NULL) == POLICY_ALLOW, "%s",
			      name);
		snprintf(other, sizeof(other), "vendored/lib/.git/%s", names[i]);
		ck_assert_msg(writable(policy, other), "%s", other);
		/* The host's git would write through a link, wherever it leads. */
		ck_assert_msg(decide(policy, POLICY_SYMLINK, name, NULL) == POLICY_DENY, "%s",
			      name);
	}
	ck_assert_int_eq(decide(policy, POLICY_RENAME, ".git/index.lock", ".git/index"),
			 POLICY_ALLOW);
	ck_assert_int_eq(
		decide(policy, POLICY_RENAME, ".git/refs/heads/x.lock", ".git/refs/heads/x"),
		POLICY_ALLOW);
	ck_assert_int_eq(decide(policy, POLICY_RENAME, ".git/HEAD.lock", ".git/HEAD"),
			 POLICY_ALLOW);
	ck_assert_int_eq(
		decide(policy, POLICY_RENAME, ".git/objects/ab/tmp_obj_x", ".git/objects/ab/cd"),
		POLICY_ALLOW);
	ck_assert_int_eq(
		decide(policy, POLICY_LINK, ".git/objects/ab/tmp_obj_x", ".git/objects/ab/cd"),
		POLICY_ALLOW);
	ck_assert_int_eq(decide(policy, POLICY_SYMLINK, "src/link", NULL), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

START_TEST(git_of_the_host_runs_nothing_of_the_guest)
{
	static const char *const names[] = {
		/* in a repository that is there */
		".git",
		".git/commondir",
		".git/gitdir",
		".git/config",
		".git/config.lock",
		".git/config.worktree",
		".git/hooks",
		".git/hooks/post-checkout",
		".git/info/attributes",
		".git/info/exclude",
		".git/info/grafts",
		".git/objects/info/alternates",
		".git/objects/info/http-alternates",
		".git/worktrees/x/gitdir",
		".git/worktrees/x/HEAD",
		".git/modules/x/config",
		".git/modules/x/HEAD",
		".git/rebase-merge/git-rebase-todo",
		".git/rebase-apply/next",
		".git/sequencer/todo",
		".git/branches/x",
		".git/remotes/x",
		".git/BISECT_RUN",
		".git/description",
		".git/new",
		".git/objects",
		/* repositories in places that work changes */
		".git/refs/heads/.git/config",
		".git/refs/heads/.git/HEAD",
		".git/refs/heads/x/HEAD",
		".git/refs/HEAD",
		".git/logs/config",
		".git/logs/objects",
		".git/objects/pack/HEAD",
		".git/objects/ab/HEAD",
		".git/objects/ab/x/config",
		".git/objects/x/config",
		".git/refs/remotes/x/config",
		".git/refs/remotes/x/commondir",
		".git/refs/remotes/x/hooks/post-checkout",
		".git/logs/refs/remotes/x/config",
		".git/logs/refs/remotes/x/commondir",
		".git/reftable/x/config",
		".git/index.d/config",
		/* repositories of its own */
		"sub/.git",
		"sub/.git/commondir",
		"sub/.git/config",
		"HEAD",
		"sub/HEAD",
		"a/b/c/HEAD",
		"fixtures/x.git/config",
		"fixtures/x.git/hooks/post-checkout",
		"fixtures/x.git/commondir",
		"x.git/worktrees/w/commondir",
		"x.git/modules/m/config",
		".bare/config",
		".bare/worktrees/w/commondir",
		".gitmodules",
		"sub/.gitmodules",
		".hg/hgrc",
		"sub/.hg/hgrc",
		".jj/repo/config.toml",
		"_darcs/prefs/defaults",
		".repo/repo/main.py",
	};
	static const struct {
		const char *from, *to;
	} moves[] = {
		{"prepared", ".git"},
		{"prepared", "sub/.git"},
		{"prepared", ".git/hooks"},
		{"prepared", ".git/refs/x"},
		{"prepared", ".git/objects/ab"},
		{".git", "g"},
		{".git/refs", "r"},
		{".git/refs", ".git/hooks"},
		{".git/refs/heads/config", ".git/config"},
		{".git/objects", "o"},
		{".git/logs", "l"},
		{"file", "sub/HEAD"},
		{"file", ".git/commondir"},
		{"file", "sub/.git"},
	};
	struct policy *policy = workspace();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_msg(!writable(policy, names[i]), "%s", names[i]);
		ck_assert_msg(decide(policy, POLICY_CREATE, names[i], NULL) != POLICY_ALLOW, "%s",
			      names[i]);
		ck_assert_msg(decide(policy, POLICY_SYMLINK, names[i], NULL) != POLICY_ALLOW, "%s",
			      names[i]);
	}
	for (i = 0; i < ARRAY_SIZE(moves); i++)
		ck_assert_msg(decide(policy, POLICY_RENAME, moves[i].from, moves[i].to) !=
				      POLICY_ALLOW,
			      "%s %s", moves[i].from, moves[i].to);
	ck_assert_int_eq(decide(policy, POLICY_LINK, "file", "sub/HEAD"), POLICY_DENY);
	ck_assert_int_eq(decide(policy, POLICY_LINK, ".git/index", ".git/config"), POLICY_DENY);
	/* What only looks alike is work. */
	ck_assert_int_eq(decide(policy, POLICY_RENAME, "prepared", "elsewhere"), POLICY_ALLOW);
	ck_assert(writable(policy, "sub/config"));
	ck_assert(writable(policy, "sub/objects/x"));
	ck_assert(writable(policy, "HEADER"));
	ck_assert(writable(policy, ".gitignore"));
	ck_assert(writable(policy, "src/git/config"));
	policy_free(policy);
}
END_TEST

/* A link in place of a directory that only counts for what is in it. */
START_TEST(links_lead_around_nothing)
{
	static const char *const names[] = {".cargo", "sub/.cargo", ".yarn", ".local", ".docker"};
	static const char text[] = "policy 1\nshare / /here\nfile write /here/**\n";
	struct policy *policy = workspace(), *open;
	size_t i;

	ck_assert_int_eq(policy_parse(&open, text, strlen(text), &here, &err), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(decide(policy, POLICY_SYMLINK, names[i], NULL), POLICY_DENY);
		ck_assert_int_eq(decide(policy, POLICY_CREATE, names[i], NULL), POLICY_ALLOW);
		/* Where nothing is protected there is nothing to lead around. */
		ck_assert_int_eq(decide(open, POLICY_SYMLINK, names[i], NULL), POLICY_ALLOW);
	}
	ck_assert_int_eq(decide(open, POLICY_SYMLINK, ".git/COMMIT_EDITMSG", NULL), POLICY_DENY);
	/* `git init` looks so whether there are symbolic links. */
	ck_assert_int_eq(decide(open, POLICY_SYMLINK, "new/.git/tAbC123", NULL), POLICY_ALLOW);
	policy_free(policy);
	policy_free(open);
}
END_TEST

/* A fork's policy is proven against its parent's, whole tables of patterns included. */
START_TEST(presets_can_be_narrowed)
{
	static const char narrower[] = "policy 1\nfile hide $PWD/private\ninclude workspace\n";
	static const char wider[] = "policy 1\nfile write $PWD/CLAUDE.md\ninclude workspace\n";
	struct policy *parent = workspace(), *same = workspace(), *child;

	ck_assert_msg(policy_is_narrower(same, parent, &err) == 0, "%s", err.text);
	ck_assert_int_eq(policy_parse(&child, narrower, strlen(narrower), &here, &err), 0);
	ck_assert_msg(policy_is_narrower(child, parent, &err) == 0, "%s", err.text);
	policy_free(child);
	ck_assert_int_eq(policy_parse(&child, wider, strlen(wider), &here, &err), 0);
	ck_assert_int_eq(policy_is_narrower(child, parent, &err), -EPERM);
	ck_assert_msg(
		strstr(err.text, "file /here/CLAUDE.md (write, p:2; before: read, workspace:"),
		"%s", err.text);
	policy_free(child);
	policy_free(same);
	policy_free(parent);
}
END_TEST

/* --- risks ------------------------------------------------------------------------------------ */

static void note_risk(void *arg, const char *text)
{
	strcat(arg, text);
	strcat(arg, "\n");
}

static bool only_git(void *arg, const struct policy_share *share, const char *place)
{
	(void)arg;
	ck_assert_str_eq(share->host, "/here");
	return strcmp(place, ".git/hooks") == 0 || strcmp(place, "Makefile") == 0;
}

START_TEST(risks_are_told_by_group)
{
	static char told[16384];
	struct policy_risk_ops all = {.report = note_risk, .arg = told};
	struct policy_risk_ops present = {.present = only_git, .report = note_risk, .arg = told};
	struct policy *policy = workspace();

	told[0] = '\0';
	policy_risks(policy, &all);
	/* What work must change, and no more. */
	ck_assert_ptr_nonnull(strstr(told, "Makefile"));
	ck_assert_ptr_nonnull(strstr(told, "*.pem"));
	ck_assert_ptr_null(strstr(told, ".git"));
	ck_assert_ptr_null(strstr(told, "CLAUDE.md"));
	told[0] = '\0';
	policy_risks(policy, &present);
	ck_assert_str_eq(told, "");
	policy_free(policy);

	ck_assert_int_eq(policy_preset(&policy, "open", &here, &err), 0);
	policy_risks(policy, &present);
	ck_assert_str_eq(told, "share /here: the guest can change .git/hooks: git on the host runs "
			       "the programs that it names\n");
	told[0] = '\0';
	policy_risks(policy, &all);
	ck_assert_ptr_nonnull(strstr(told, "the guest can read .env"));
	ck_assert_ptr_nonnull(strstr(told, "CLAUDE.md"));
	policy_free(policy);
}
END_TEST

UNIT_MAIN("protected", presets_are_the_table, every_entry_decides, git_works,
	  git_of_the_host_runs_nothing_of_the_guest, links_lead_around_nothing,
	  presets_can_be_narrowed, risks_are_told_by_group)
