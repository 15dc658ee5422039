/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/learn_pattern.h"

#include <stdio.h>
#include <string.h>

#include "vmm/base/arena.h"
#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/glob.h"

#define ALNUM  "[0-9A-Za-z]"
#define LOWER  "[0-9a-z_]"
#define OBJECT ".git/objects/[0-9a-f][0-9a-f]"

/*
 * Names made at random. None of them can be HEAD, config, hooks or another protected name, whatever
 * the guest calls its files.
 */
static const char *const kinds[] = {
	OBJECT,
	OBJECT "/[0-9a-f][0-9a-f]*",
	OBJECT "/tmp_obj_*",
	".git/objects/pack/pack-*",
	".git/objects/pack/tmp_*",
	".git/objects/pack/.tmp-*",
	".git/objects/info/packs_*",
	".git/info/refs_*",
	".git/index.stash.*",
	".git/next-index-*",
	/* sed -i, mktemp, Python's tempfile */
	"sed" ALNUM ALNUM ALNUM ALNUM ALNUM ALNUM,
	"tmp." ALNUM ALNUM ALNUM ALNUM ALNUM ALNUM ALNUM ALNUM ALNUM ALNUM,
	"tmp" LOWER LOWER LOWER LOWER LOWER LOWER LOWER LOWER,
};

static struct {
	struct arena arena;
	struct glob_tree *tree;
	bool tried;
} set;

static struct glob_tree *kind_set(void)
{
	struct glob_tree *tree = set.tried ? NULL : glob_tree_create(&set.arena);
	struct err err = {.text = ""};
	struct glob glob;
	char text[256];
	size_t i, at;
	int n;

	set.tried = true;
	for (i = 0; tree && i < ARRAY_SIZE(kinds); i++) {
		n = snprintf(text, sizeof(text), "/**/%s", kinds[i]);
		if (n < 0 || n >= (int)sizeof(text) ||
		    glob_compile(&set.arena, text, (size_t)n, &glob, &at, &err) < 0 ||
		    glob_tree_add(tree, &glob, (uint32_t)i) < 0)
			tree = NULL;
	}
	if (tree && glob_tree_finish(tree) == 0)
		set.tree = tree;
	return set.tree;
}

/* The length of the path without its last components, as many as kind has. */
static size_t before_kind(const char *path, size_t length, const char *kind)
{
	size_t components = 1;

	for (; *kind; kind++)
		components += *kind == '/';
	for (; components > 0 && length > 0; components--)
		length = (size_t)((const char *)memrchr(path, '/', length) - path);
	return length;
}

bool learn_pattern(const char *path, size_t length, char pattern[LEARN_PATTERN_SIZE])
{
	struct glob_tree *tree = kind_set();
	uint32_t kind;
	size_t used;

	/* Quoting may double it. */
	if (length == 0 || path[0] != '/' || length > POLICY_PATTERN_MAX / 2 ||
	    !text_is_safe(path, length, 0))
		return false;
	kind = tree ? glob_tree_match(tree, path, length) : GLOB_NONE;
	if (kind != GLOB_NONE) {
		used = before_kind(path, length, kinds[kind]);
		if (2 * used + 1 + strlen(kinds[kind]) <= POLICY_PATTERN_MAX) {
			policy_quote(path, used, pattern);
			strcat(strcat(pattern, "/"), kinds[kind]);
			return true;
		}
	}
	policy_quote(path, length, pattern);
	return true;
}

bool learn_is_host_name(const char *name)
{
	size_t length = name ? strlen(name) : 0, label = 0, i;

	if (!name)
		return true;
	/* An address, and what could be an option of a program, are no names: see net.c. */
	if (name[0] == '-' || strspn(name, "0123456789.") == length ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != length)
		return false;
	for (i = 0; i < length; i++) {
		label = name[i] == '.' ? 0 : label + 1;
		if (label > 63 || (label == 0 && (i == 0 || name[i - 1] == '.')))
			return false;
	}
	return label > 0;
}
