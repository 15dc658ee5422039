/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of paths: each kind, many at once against a slow matcher, and hostile ones. */
#include "vmm/policy/glob_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

static struct arena arena;
static struct err err;

static bool matches(const char *pattern, const char *path)
{
	struct glob_tree *tree = glob_tree_create(&arena);
	struct glob glob;
	size_t at;

	ck_assert_msg(glob_compile(&arena, pattern, strlen(pattern), &glob, &at, &err) == 0,
		      "%s: %s", pattern, err.text);
	ck_assert_int_eq(glob_tree_add(tree, &glob, 5), 0);
	ck_assert_int_eq(glob_tree_finish(tree), 0);
	ck_assert_int_eq(glob_matches(&glob, path, strlen(path)),
			 glob_tree_match(tree, path, strlen(path)) == 5);
	return glob_matches(&glob, path, strlen(path));
}

START_TEST(each_kind_matches)
{
	static const struct {
		const char *pattern, *yes, *no;
	} one[] = {
		{"/a/b", "/a/b", "/a/b/c"},
		{"/a/b", "/a/b", "/a"},
		{"/a/*", "/a/x", "/a/x/y"},
		{"/a/*", "/a/.x", "/a"},
		{"/a/*.c", "/a/.c", "/a/x.h"},
		{"/a/x*", "/a/x", "/a/yx"},
		{"/a/x*y*z", "/a/xyz", "/a/xzy"},
		{"/a/x*y*z", "/a/x.yy.zz", "/a/xyzw"},
		{"/a/?", "/a/b", "/a/bb"},
		{"/a/??", "/a/\xc3\xa4", "/a/b"},
		{"/a/[bc]", "/a/c", "/a/d"},
		{"/a/[!bc]", "/a/d", "/a/b"},
		{"/a/[^bc]x", "/a/dx", "/a/cx"},
		{"/a/[b-d0-9]", "/a/7", "/a/e"},
		{"/a/[]]", "/a/]", "/a/["},
		{"/a/[a-]", "/a/-", "/a/b"},
		{"/a/[\\]b]", "/a/]", "/a/\\"},
		{"/a/[bc]c[c-d]", "/a/bcd", "/a/bbd"},
		{"/a/[!c]?c", "/a/bcc", "/a/ccc"},
		{"/a/c[b-d]*[c-e]cc", "/a/cb.dcc", "/a/cb.bcc"},
		{"/a/?[b]b?", "/a/bbbb", "/a/bbcb"},
		{"/a/\\*", "/a/*", "/a/x"},
		{"/a/\\[b]", "/a/[b]", "/a/b"},
		{"/**", "/", ""},
		{"/**", "/a/b/c", ""},
		{"/a/**", "/a", "/b"},
		{"/a/**", "/a/b/c", "/ab"},
		{"/a/**/b", "/a/b", "/a/c"},
		{"/a/**/b", "/a/x/y/b", "/a/x/y/c"},
		{"/**/b", "/b", "/a"},
		{"/**/b/**", "/x/b/y", "/x/y"},
		{"/a/**/**/b", "/a/b", "/a"},
		{"/a/**/*.c", "/a/x/y.c", "/a/x/y.h"},
		{"/**/a/**/a", "/a/x/a", "/a"},
		{"/*/*", "/a/b", "/a"},
		{"/", "/", "/a"},
		{"/a/*[0-9]", "/a/x7", "/a/7x"},
		{"/A", "/A", "/a"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(one); i++) {
		ck_assert_msg(matches(one[i].pattern, one[i].yes), "%s and %s", one[i].pattern,
			      one[i].yes);
		if (one[i].no[0])
			ck_assert_msg(!matches(one[i].pattern, one[i].no), "%s and %s",
				      one[i].pattern, one[i].no);
	}
	arena_free(&arena);
}
END_TEST

/* --- against a slow matcher ------------------------------------------------------------------- */

static bool slow_name(const char *p, const char *pe, const char *s, const char *se)
{
	if (p == pe)
		return s == se;
	if (*p == '*')
		return slow_name(p + 1, pe, s, se) || (s < se && slow_name(p, pe, s + 1, se));
	return s < se && (*p == '?' || *p == *s) && slow_name(p + 1, pe, s + 1, se);
}

/* p and s stand before a '/', or at the end. */
static bool slow(const char *p, const char *s)
{
	const char *pe, *se;

	if (!*p)
		return !*s;
	pe = strchrnul(p + 1, '/');
	if (pe - p == 3 && strncmp(p, "/**", 3) == 0) {
		if (!*pe || slow(pe, s))
			return true;
		return *s && slow(p, strchrnul(s + 1, '/'));
	}
	if (!*s)
		return false;
	se = strchrnul(s + 1, '/');
	return slow_name(p + 1, pe, s + 1, se) && slow(pe, se);
}

static uint32_t state;

static unsigned below(unsigned limit)
{
	state = state * 1664525 + 1013904223;
	return (state >> 16) % limit;
}

static void random_path(char *to, bool pattern)
{
	unsigned parts = 1 + below(5), i, k, length;

	for (i = 0; i < parts; i++) {
		*to++ = '/';
		if (pattern && below(4) == 0) {
			*to++ = '*';
			*to++ = '*';
			continue;
		}
		length = 1 + below(4);
		for (k = 0; k < length; k++)
			if (pattern && below(4) == 0 && to[-1] != '*')
				*to++ = '*';
			else
				*to++ = pattern && below(6) == 0 ? '?' : (char)('a' + below(2));
	}
	*to = '\0';
}

START_TEST(many_at_once_match_as_one_by_one)
{
	char pattern[40][64], path[64];
	unsigned round, count, i, k, hits = 0;
	struct glob_tree *tree;
	struct glob glob[40];
	uint32_t wanted;
	size_t at;
	bool one;

	state = 1;
	for (round = 0; round < 400; round++) {
		count = 1 + below(40);
		tree = glob_tree_create(&arena);
		for (i = 0; i < count; i++) {
			random_path(pattern[i], true);
			ck_assert_int_eq(glob_compile(&arena, pattern[i], strlen(pattern[i]),
						      &glob[i], &at, &err),
					 0);
			ck_assert_int_eq(glob_tree_add(tree, &glob[i], i), 0);
		}
		ck_assert_int_eq(glob_tree_finish(tree), 0);
		for (k = 0; k < 50; k++) {
			random_path(path, false);
			wanted = GLOB_NONE;
			for (i = count; i-- > 0;) {
				one = slow(pattern[i], path);
				ck_assert_int_eq(glob_matches(&glob[i], path, strlen(path)), one);
				if (one)
					wanted = i;
			}
			hits += wanted != GLOB_NONE;
			ck_assert_msg(glob_tree_match(tree, path, strlen(path)) == wanted,
				      "%s: %u, not %u (%s)", path,
				      glob_tree_match(tree, path, strlen(path)), wanted,
				      wanted < count ? pattern[wanted] : "none");
		}
		arena_free(&arena);
	}
	/* Both results were common. */
	ck_assert_uint_gt(hits, 2000);
	ck_assert_uint_lt(hits, 19000);
}
END_TEST

/* --- hostile ---------------------------------------------------------------------------------- */

/* What makes a matcher that backtracks take longer than the universe. That it ends is the test. */
START_TEST(nothing_backtracks)
{
	char pattern[1024] = "/", path[4096] = "/";
	unsigned i;

	for (i = 0; i < 100; i++)
		strcat(pattern, "*a");
	strcat(pattern, "*b");
	memset(path + 1, 'a', 255);
	ck_assert(!matches(pattern, path));
	path[255] = 'b';
	ck_assert(matches(pattern, path));

	pattern[0] = path[0] = '\0';
	for (i = 0; i < 100; i++)
		strcat(pattern, "/**/a");
	strcat(pattern, "/b");
	for (i = 0; i < 1500; i++)
		strcat(path, "/a");
	ck_assert(!matches(pattern, path));
	strcat(path, "/b");
	ck_assert(matches(pattern, path));
	arena_free(&arena);
}
END_TEST

START_TEST(long_names_are_whole)
{
	char pattern[600] = "/x", path[600] = "/x";
	struct glob glob;
	size_t at;

	/* 255 places take more than one word of states. */
	memset(pattern + 2, '?', 253);
	pattern[200] = '*';
	memset(path + 2, 'y', 253);
	ck_assert(matches(pattern, path));
	path[1] = 'y';
	ck_assert(!matches(pattern, path));
	path[1] = 'x';
	path[254] = '\0';
	ck_assert(matches(pattern, path));
	path[253] = '\0';
	ck_assert(!matches(pattern, path));
	memset(pattern + 2, 'a', 300);
	ck_assert_int_eq(glob_compile(&arena, pattern, strlen(pattern), &glob, &at, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "longer than any file name"));
	arena_free(&arena);
}
END_TEST

START_TEST(sets_are_bounded)
{
	struct glob_tree *tree = glob_tree_create(&arena);
	struct glob glob;
	char pattern[64];
	size_t at;
	unsigned i;
	int ret = 0;

	for (i = 0; i < 20000 && ret == 0; i++) {
		sprintf(pattern, "/*/%u", i);
		ck_assert_int_eq(glob_compile(&arena, pattern, strlen(pattern), &glob, &at, &err),
				 0);
		ret = glob_tree_add(tree, &glob, i);
	}
	ck_assert_int_eq(ret, -ENOSPC);
	ck_assert_uint_eq(i, GLOB_WILD_MAX);
	/* What fits works. */
	ck_assert_int_eq(glob_tree_finish(tree), 0);
	ck_assert_uint_eq(glob_tree_match(tree, "/x/15000", 8), 15000);
	ck_assert_uint_eq(glob_tree_match(tree, "/x/y", 4), GLOB_NONE);
	arena_free(&arena);
}
END_TEST

/* Names that differ in one byte only, each pattern twice: the second time it is found again. */
START_TEST(equal_components_share_a_node)
{
	const unsigned many = 4000;
	struct glob_tree *tree = glob_tree_create(&arena);
	struct glob glob;
	char text[64];
	size_t at;
	unsigned i;

	for (i = 0; i < 2 * many; i++) {
		sprintf(text, "/w/**/*%05ua*b", i % many);
		ck_assert_int_eq(glob_compile(&arena, text, strlen(text), &glob, &at, &err), 0);
		ck_assert_int_eq(glob_tree_add(tree, &glob, i), 0);
	}
	/* The root, w, the stars, and what is different. */
	ck_assert_uint_eq(tree->nodes, 3 + many);
	ck_assert_int_eq(glob_tree_finish(tree), 0);
	for (i = 0; i < many; i += 97) {
		sprintf(text, "/w/x/y%05uazb", i);
		ck_assert_uint_eq(glob_tree_match(tree, text, strlen(text)), i);
	}
	arena_free(&arena);
}
END_TEST

UNIT_MAIN("glob", each_kind_matches, many_at_once_match_as_one_by_one, nothing_backtracks,
	  long_names_are_whole, sets_are_bounded, equal_components_share_a_node)
