/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/protected.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/arena.h"
#include "vmm/base/bytes.h"
#include "vmm/policy/glob.h"

static const struct protected_place places[] = {
#define PLACES(g, v, patterns_, reason_) \
	{.group = PROTECTED_##g,         \
	 .verdict = PROTECTED_##v,       \
	 .patterns = (patterns_),        \
	 .reason = (reason_)},
#include "vmm/policy/protected.inc"
#undef PLACES
};

#define PARENTS_MAX 32

static struct {
	pthread_once_t once;
	struct arena arena;
	struct glob_tree *tree;	   /* NULL: out of memory */
	struct glob_tree *parents; /* directories that are not protected but have a place in them */
	const char *beneath[PARENTS_MAX]; /* the place in each of parents */
	uint32_t count;
} set = {.once = PTHREAD_ONCE_INIT};

const struct protected_place *protected_place(size_t index)
{
	return index < ARRAY_SIZE(places) ? &places[index] : NULL;
}

const char *protected_group_risk(enum protected_group group)
{
	static const char *const risks[PROTECTED_GROUPS] = {
		[PROTECTED_GIT] = "git on the host runs the programs that it names",
		[PROTECTED_SECRETS] = "it may hold secrets",
		[PROTECTED_SHELL] =
			"shells and programs of the host run what it names when they start",
		[PROTECTED_HOOKS] = "a hook of git runs it on the host",
		[PROTECTED_PACKAGES] =
			"package managers of the host take programs and servers from it",
		[PROTECTED_EDITORS] = "an editor of the host may run what it names",
		[PROTECTED_AGENTS] = "the next agent follows it",
		[PROTECTED_CI] = "continuous integration runs it with the project's secrets",
		[PROTECTED_BUILD] =
			"the host runs it at the next build or test: look at the changes first",
	};

	return risks[group];
}

const char *protected_verdict_name(enum protected_verdict verdict)
{
	static const char *const words[] = {"hide", "read", "write", "warn"};

	return words[verdict];
}

/* --- looking up ------------------------------------------------------------------------------- */

/* The next pattern of a list, or false. */
static bool next_pattern(const char **list, const char **pattern, size_t *length)
{
	if (**list == '\0')
		return false;
	*pattern = *list;
	*length = (size_t)(strchrnul(*list, ' ') - *list);
	*list += *length + ((*list)[*length] == ' ');
	return true;
}

static bool add_pattern(struct glob_tree *tree, const char *pattern, size_t length,
			const char *behind, uint32_t value)
{
	char text[POLICY_PATTERN_MAX];
	int n = snprintf(text, sizeof(text), "/**/%.*s%s", (int)length, pattern, behind);
	struct err err = {.text = ""};
	struct glob glob;
	size_t at;

	return n > 0 && (size_t)n < sizeof(text) &&
	       glob_compile(&set.arena, text, (size_t)n, &glob, &at, &err) == 0 &&
	       glob_tree_add(tree, &glob, value) == 0;
}

/* Adds the parent of a place such as ".cargo/config.toml" that is not protected itself. */
static bool add_parent(struct glob_tree *tree, const struct protected_place *place,
		       const char *pattern, size_t length)
{
	const char *slash = memchr(pattern, '/', length);
	size_t rest;

	if (!slash || place->group == PROTECTED_GIT ||
	    (place->verdict != PROTECTED_READ && place->verdict != PROTECTED_HIDE))
		return true;
	rest = length - (size_t)(slash + 1 - pattern);
	if (rest >= 3 && memcmp(pattern + length - 3, "/**", 3) == 0)
		rest -= 3;
	if (rest == 2 && memcmp(slash + 1, "**", 2) == 0)
		return true;
	if (set.count == PARENTS_MAX)
		return false;
	set.beneath[set.count] = arena_copy(&set.arena, slash + 1, rest);
	return set.beneath[set.count] &&
	       add_pattern(tree, pattern, (size_t)(slash - pattern), "", set.count++);
}

static void make_set(void)
{
	struct glob_tree *tree = glob_tree_create(&set.arena);
	struct glob_tree *parents = glob_tree_create(&set.arena);
	const char *list, *pattern;
	bool made = tree && parents;
	size_t i, length;

	for (i = 0; made && i < ARRAY_SIZE(places); i++) {
		list = places[i].patterns;
		while (made && next_pattern(&list, &pattern, &length))
			/* As in rules, hiding includes everything beneath. */
			made = add_pattern(tree, pattern, length,
					   places[i].verdict == PROTECTED_HIDE ? "/**" : "",
					   (uint32_t)i) &&
			       add_parent(parents, &places[i], pattern, length);
	}
	if (made && glob_tree_finish(tree) == 0 && glob_tree_finish(parents) == 0) {
		set.parents = parents;
		set.tree = tree;
	}
}

const struct protected_place *protected_find(const char *path, size_t length)
{
	uint32_t found;

	pthread_once(&set.once, make_set);
	if (!set.tree)
		return &places[0];
	found = glob_tree_match(set.tree, path, length);
	return found == GLOB_NONE ? NULL : &places[found];
}

const char *protected_beneath(const char *path, size_t length)
{
	uint32_t found;

	pthread_once(&set.once, make_set);
	if (!set.tree)
		return NULL;
	found = glob_tree_match(set.parents, path, length);
	return found == GLOB_NONE ? NULL : set.beneath[found];
}

bool protected_written_by_git(const char *path, size_t length)
{
	const struct protected_place *place = protected_find(path, length);

	return place && place->group == PROTECTED_GIT && place->verdict == PROTECTED_WRITE;
}

static bool is_own_place(const char *path, size_t length)
{
	return protected_written_by_git(path, length) ||
	       (length >= 5 && memcmp(path + length - 5, "/.git", 5) == 0);
}

bool protected_takes_links(const char *from, size_t from_length, const char *to, size_t to_length)
{
	static const char objects[] = "/.git/objects/";

	/* git itself moves objects into place from a directory beside it. */
	return is_own_place(to, to_length) && !is_own_place(from, from_length) &&
	       !(memmem(to, to_length, objects, strlen(objects)) &&
		 memmem(from, from_length, objects, strlen(objects)));
}

/* --- examples --------------------------------------------------------------------------------- */

/* A path that matches a pattern: the first byte of a set, "x" for one star or two. */
static void example(const char *pattern, size_t length, char *to)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (pattern[i] == '[') {
			*to++ = pattern[i + 1];
			while (i + 1 < length && pattern[i] != ']')
				i++;
		} else if (pattern[i] != '*') {
			*to++ = pattern[i];
		} else {
			*to++ = 'x';
			if (i + 1 < length && pattern[i + 1] == '*')
				i++;
		}
	}
	*to = '\0';
}

void protected_examples(const struct protected_place *place,
			bool (*visit)(void *arg, const char *pattern, size_t length,
				      const char *path),
			void *arg)
{
	const char *list = place->patterns, *pattern;
	char path[POLICY_PATTERN_MAX];
	size_t length;

	while (next_pattern(&list, &pattern, &length)) {
		if (length >= sizeof(path))
			continue;
		example(pattern, length, path);
		if (!visit(arg, pattern, length, path))
			return;
	}
}
