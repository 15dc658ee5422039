/* SPDX-License-Identifier: Apache-2.0 */
/* Protected places that are links to files that the guest can change. */
#include "vmm/launch/share_leads.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/unit.h"

static char top[64], told[16384];
static unsigned lines;

static void begin(void)
{
	strcpy(top, "/tmp/cordon-links-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text)
{
	char path[PATH_MAX], *slash;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	for (slash = path + strlen(top) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0755);
	}
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void put_link(const char *name, const char *to)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	unlink(path);
	ck_assert_int_eq(symlink(to, path), 0);
}

static void note(void *arg, const char *text)
{
	(void)arg;
	lines++;
	strcat(strcat(told, text), "\n");
}

/* The lines for a policy with the text behind its share of the directory at /w. */
static const char *look(const char *rules)
{
	const struct policy_risk_ops ops = {.report = note};
	char text[16384];
	struct policy *policy;
	struct err err;

	snprintf(text, sizeof(text), "policy 1\nshare %s /w\n%s", top, rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), NULL, &err) == 0, "%s", err.text);
	told[0] = '\0';
	lines = 0;
	share_leads(policy, &ops);
	policy_free(policy);
	return told;
}

/* The rules of the preset, for a share of the directory at its own path. */
static const char *look_as_workspace(void)
{
	const struct policy_source source = {.name = "p", .directory = top, .cwd = top};
	const struct policy_risk_ops ops = {.report = note};
	struct policy *policy;
	struct err err;

	ck_assert_msg(policy_preset(&policy, "workspace", &source, &err) == 0, "%s", err.text);
	told[0] = '\0';
	lines = 0;
	share_leads(policy, &ops);
	policy_free(policy);
	return told;
}

START_TEST(protected_links)
{
	begin();
	put("docs/agents", "");
	put("tools/editor/tasks.json", "");
	put("deploy/secrets", "");
	put("plain", "");
	put("AGENTS.md", "");
	ck_assert_str_eq(look_as_workspace(), "");
	put_link("CLAUDE.md", "docs/agents");
	put_link(".vscode", "tools/editor");
	put_link(".env", "deploy/secrets");
	put_link("link", "plain");
	/* Links to protected files, to nothing, and out of the share lead around no rule. */
	put_link("GEMINI.md", "AGENTS.md");
	put_link(".mcp.json", "absent");
	put_link(".netrc", "/etc/passwd");
	look_as_workspace();
	ck_assert_uint_eq(lines, 3);
	ck_assert_ptr_nonnull(
		strstr(told, "CLAUDE.md leads to docs/agents, which the guest can change"));
	ck_assert_ptr_nonnull(
		strstr(told, ".vscode leads to tools/editor, which the guest can change"));
	ck_assert_ptr_nonnull(
		strstr(told, ".env leads to deploy/secrets, which the guest can read"));
	/* With rules for the targets there is nothing to report. */
	ck_assert_str_eq(look("file hide /w/deploy\nfile read /w/docs/** /w/tools/** /w/AGENTS.md\n"
			      "file write /w/**\n"),
			 "");
	look("file read /w/**\n");
	ck_assert_uint_eq(lines, 1);
	ck_assert_ptr_nonnull(strstr(told, ".env leads"));
	end();
}
END_TEST

START_TEST(git_elsewhere)
{
	begin();
	put(".git", "gitdir: ./own\n");
	put("own/HEAD", "ref: refs/heads/main\n");
	put("own/config", "");
	look_as_workspace();
	ck_assert_uint_eq(lines, 1);
	ck_assert_ptr_nonnull(
		strstr(told, ".git leads to own, which the guest can change: git on"));
	ck_assert_str_eq(look("file read /w/own/**\nfile write /w/**\n"), "");
	/* Only its configuration is elsewhere. */
	put("own/commondir", "../both\n");
	put("both/config", "");
	look("file read /w/own/**\nfile write /w/**\n");
	ck_assert_uint_eq(lines, 1);
	ck_assert_ptr_nonnull(strstr(told, ".git leads to both,"));
	/* The table has the names of repositories with worktrees next to them. */
	put(".git", "gitdir: .bare\n");
	put(".bare/config", "");
	ck_assert_str_eq(look_as_workspace(), "");
	/* A link; and links that lead nowhere, or out of the share. */
	put_link(".git", "both");
	look_as_workspace();
	ck_assert_uint_eq(lines, 1);
	put_link(".git", "absent");
	ck_assert_str_eq(look_as_workspace(), "");
	put_link(".git", "/etc");
	ck_assert_str_eq(look_as_workspace(), "");
	put(".git", "gitdir: /proc/self/fd\n");
	ck_assert_str_eq(look_as_workspace(), "");
	end();
}
END_TEST

START_TEST(what_git_names)
{
	begin();
	put(".git/config", "[core]\n\thooksPath = \"scripts/hooks\" # ours\n[remote \"origin\"]\n"
			   "\turl = ./src/file\n[user]\n\tname = src\n[branch \"src\"]\n"
			   "\tmerge = refs/heads/main\n[include]\n\tpath = ../shared\n"
			   "[include]\n\tpath = config.mine\n[alias]\n\tx = !./tool run\n");
	put(".git/refs/heads/main", "");
	put(".git/config.mine", "");
	ck_assert_str_eq(look_as_workspace(), "");
	put("scripts/hooks/pre-commit", "");
	put("shared", "");
	put("tool", "");
	put("src/x", "");
	put(".git/hooks/plain", "");
	put_link(".git/hooks/pre-push", "../../tool");
	look_as_workspace();
	ck_assert_uint_eq(lines, 4);
	ck_assert_ptr_nonnull(strstr(told, "git's configuration leads to scripts/hooks,"));
	ck_assert_ptr_nonnull(strstr(told, "git's configuration leads to shared,"));
	ck_assert_ptr_nonnull(strstr(told, "git's configuration leads to tool,"));
	ck_assert_ptr_nonnull(strstr(told, "pre-push leads to tool,"));
	ck_assert_str_eq(
		look("file read /w/.git/** /w/scripts/** /w/shared /w/tool\nfile write /w/**\n"),
		"");
	end();
}
END_TEST

UNIT_MAIN("share_leads", protected_links, git_elsewhere, what_git_names)
