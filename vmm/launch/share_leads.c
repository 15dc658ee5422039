/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/share_leads.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/policy/protected.h"

#define CONFIG_MAX 65536 /* bytes of git's configuration that are looked at */
#define HOOKS_MAX  256	 /* entries of its hooks */

struct look {
	const struct policy *policy;
	const struct policy_share *share;
	const struct policy_risk_ops *ops;
	const struct protected_place *place;
	char root[PATH_MAX]; /* of the share on the host, without links */
	unsigned told;
};

/* The path relative to the share's root, with its leading '/', or NULL if it is outside. */
static const char *beneath(const struct look *look, const char *path)
{
	size_t length = strcmp(look->root, "/") == 0 ? 0 : strlen(look->root);

	return strncmp(path, look->root, length) == 0 && path[length] == '/' && path[length + 1]
		       ? path + length
		       : NULL;
}

/* Whether the guest may do op to a path of the host followed by name. */
static bool may(const struct look *look, enum policy_op op, const char *path, const char *name)
{
	const char *guest = strcmp(look->share->guest, "/") == 0 ? "" : look->share->guest;
	const char *rest = beneath(look, path);
	char object[POLICY_OBJECT_MAX];
	struct policy_request request = {
		.class = POLICY_FILE,
		.op = op,
		.object = object,
		.root = POLICY_ROOT_FIND,
	};
	struct policy_decision decision;
	int length;

	if (!rest || (op == POLICY_WRITE && look->share->read_only))
		return false;
	length = snprintf(object, sizeof(object), "%s%s%s", guest, rest, name);
	if (length < 0 || length >= (int)sizeof(object))
		return false;
	request.length = (size_t)length;
	policy_decide(look->policy, &request, &decision);
	return decision.verdict == POLICY_ALLOW;
}

static void tell(struct look *look, enum protected_group group, const char *from, const char *to)
{
	char text[1024];

	if (look->told++ >= SHARE_LEADS_TOLD_MAX)
		return;
	snprintf(text, sizeof(text),
		 "share %.200s: %.200s leads to %.300s, which the guest can %s: %s",
		 look->share->guest, from, beneath(look, to) + 1,
		 group == PROTECTED_SECRETS ? "read" : "change", protected_group_risk(group));
	look->ops->report(look->ops->arg, text);
}

/* The real path of a path, if it exists. A relative one starts at the directory. */
static bool resolve(const char *directory, const char *path, char to[PATH_MAX])
{
	char joined[2 * PATH_MAX];

	if (path[0] != '/')
		snprintf(joined, sizeof(joined), "%s/%s", directory, path);
	return realpath(path[0] == '/' ? path : joined, to) != NULL;
}

/* Reads a file's first bytes as a string; false if it is not a regular file or cannot be read. */
static bool read_text(const char *directory, const char *name, char *text, size_t size)
{
	char path[2 * PATH_MAX];
	struct stat status;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		n = fd_read_full(fd, text, size - 1);
	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

/* --- links ------------------------------------------------------------------------------------ */

static bool is_link(const char *directory, const char *name, char to[PATH_MAX])
{
	char path[2 * PATH_MAX];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return lstat(path, &status) == 0 && S_ISLNK(status.st_mode) && realpath(path, to);
}

static bool look_at_place(void *arg, const char *pattern, size_t length, const char *path)
{
	struct look *look = arg;
	bool secret = look->place->verdict == PROTECTED_HIDE;
	bool tree = length > 3 && memcmp(pattern + length - 3, "/**", 3) == 0;
	char name[POLICY_PATTERN_MAX], to[PATH_MAX];

	(void)path;
	snprintf(name, sizeof(name), "%.*s", (int)(tree ? length - 3 : length), pattern);
	/* .git is handled by look_at_git(). */
	if (!strpbrk(name, "*?[") && strcmp(name, ".git") != 0 && is_link(look->root, name, to) &&
	    may(look, secret ? POLICY_READ : POLICY_WRITE, to, tree ? "/x" : ""))
		tell(look, look->place->group, name, to);
	return true;
}

static void look_at_places(struct look *look)
{
	size_t i;

	for (i = 0; (look->place = protected_place(i)); i++)
		if (look->place->verdict == PROTECTED_READ ||
		    look->place->verdict == PROTECTED_HIDE)
			protected_examples(look->place, look_at_place, look);
}

/* --- git -------------------------------------------------------------------------------------- */

static void look_at_hooks(struct look *look, const char *common)
{
	unsigned left = HOOKS_MAX;
	const struct dirent *entry;
	char path[2 * PATH_MAX], to[PATH_MAX];
	DIR *hooks;

	snprintf(path, sizeof(path), "%s/hooks", common);
	hooks = opendir(path);
	while (hooks && left-- > 0 && (entry = readdir(hooks)))
		if (is_link(path, entry->d_name, to) && may(look, POLICY_WRITE, to, ""))
			tell(look, PROTECTED_HOOKS, entry->d_name, to);
	if (hooks)
		closedir(hooks);
}

/* The value of a line "key = value # comment" without quotes, terminated in place; or NULL. */
static char *value_of(char *line)
{
	char *value = strchr(line, '='), *end;

	if (!value)
		return NULL;
	*value++ = '\0';
	value += strspn(value, " \t\"!");
	end = value + strcspn(value, " \t\"#;\r");
	*end = '\0';
	return value;
}

/*
 * Checks the path in a line of the configuration. Relative paths start at the top of the working
 * tree, those of included files at the configuration's directory.
 */
static void look_at_line(struct look *look, const char *common, bool includes, char *line)
{
	char *value = value_of(line), to[PATH_MAX];
	bool hooks = strncasecmp(line, "hookspath", 9) == 0;
	struct stat status;

	if (!value || value[0] == '\0' || (!hooks && !includes && !strchr(value, '/')) ||
	    !resolve(includes ? common : look->root, value, to) || stat(to, &status) < 0 ||
	    (!S_ISREG(status.st_mode) && !hooks))
		return;
	if (may(look, POLICY_WRITE, to, S_ISDIR(status.st_mode) ? "/pre-commit" : ""))
		tell(look, PROTECTED_GIT, "git's configuration", to);
}

static void look_at_config(struct look *look, const char *common)
{
	char *text = malloc(CONFIG_MAX), *line, *rest;
	bool includes = false;

	if (!text || !read_text(common, "config", text, CONFIG_MAX)) {
		free(text);
		return;
	}
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		while (isspace((unsigned char)*line))
			line++;
		if (*line == '[')
			includes = strncasecmp(line, "[include", 8) == 0;
		look_at_line(look, common, includes, line);
	}
	free(text);
}

/* Files from which git takes configuration, hooks or the path of the common directory. */
static void look_at_own(struct look *look, const char *own)
{
	static const char *const names[] = {"/config", "/commondir", "/hooks/pre-commit"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (may(look, POLICY_WRITE, own, names[i])) {
			tell(look, PROTECTED_GIT, ".git", own);
			return;
		}
}

static void look_at_git(struct look *look)
{
	char own[PATH_MAX], common[PATH_MAX], text[PATH_MAX], place[PATH_MAX + 8];
	bool elsewhere;

	snprintf(place, sizeof(place), "%s/.git", look->root);
	if (!realpath(place, own))
		return;
	elsewhere = strcmp(own, place) != 0;
	if (read_text(look->root, ".git", text, sizeof(text))) {
		if (strncmp(text, "gitdir:", 7) != 0)
			return;
		text[strcspn(text, "\r\n")] = '\0';
		if (!resolve(look->root, text + 7 + strspn(text + 7, " "), own))
			return;
		elsewhere = true;
	}
	snprintf(common, sizeof(common), "%s", own);
	if (read_text(own, "commondir", text, sizeof(text))) {
		text[strcspn(text, "\r\n")] = '\0';
		if (!resolve(own, text, common))
			return;
	}
	/* That .git itself is open is a risk like others: policy_risks(). */
	if (elsewhere)
		look_at_own(look, own);
	if (strcmp(common, own) != 0)
		look_at_own(look, common);
	look_at_hooks(look, common);
	look_at_config(look, common);
}

void share_leads(const struct policy *policy, const struct policy_risk_ops *ops)
{
	struct look look = {.policy = policy, .ops = ops};
	size_t i;

	for (i = 0; i < policy_share_count(policy); i++) {
		look.share = policy_share(policy, i);
		look.told = 0;
		if (!realpath(look.share->host, look.root))
			continue;
		look_at_places(&look);
		if (!look.share->read_only)
			look_at_git(&look);
	}
}
