/* SPDX-License-Identifier: Apache-2.0 */
/* Protected places and git. */
#include "vmm/policy/protected.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/narrow.h"
#include "vmm/policy/risks.h"
#include "tests/unit/protected_common.h"

/* --- git -------------------------------------------------------------------------------------- */

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

	ck_assert_int_eq(policy_parse(&open, text, strlen(text), &here, &why), 0);
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

	ck_assert_msg(policy_is_narrower(same, parent, &why) == 0, "%s", why.text);
	ck_assert_int_eq(policy_parse(&child, narrower, strlen(narrower), &here, &why), 0);
	ck_assert_msg(policy_is_narrower(child, parent, &why) == 0, "%s", why.text);
	policy_free(child);
	ck_assert_int_eq(policy_parse(&child, wider, strlen(wider), &here, &why), 0);
	ck_assert_int_eq(policy_is_narrower(child, parent, &why), -EPERM);
	ck_assert_msg(
		strstr(why.text, "file /here/CLAUDE.md (write, p:2; before: read, workspace:"),
		"%s", why.text);
	policy_free(child);
	policy_free(same);
	policy_free(parent);
}
END_TEST

UNIT_MAIN("protected_git", git_works, git_of_the_host_runs_nothing_of_the_guest,
	  links_lead_around_nothing, presets_can_be_narrowed)
