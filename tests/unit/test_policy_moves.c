/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs that a policy is narrower: which directories it lets be renamed. */
#include <stdlib.h>

#include "tests/unit/policy_common.h"
#include "vmm/policy/product.h"

#define ISSUE "file read /w/.git/hooks/**\nfile write /w/**"

static const struct {
	const char *parent, *child;
	const char *wanted; /* NULL: it is narrower */
} pairs[] = {
	/* A directory with prepared hooks may take the place of /w/.git. */
	{ISSUE, "file read /w/*/hooks/**\nfile write /w/**", "it may rename a directory /w/"},
	{ISSUE, "file read /w/**/hooks/**\nfile write /w/**", "before, they differ"},
	{ISSUE, "file hide /w/*/hooks\nfile write /w/**", "it may rename a directory"},
	{ISSUE, "file read /w/.git/hooks/** /w/a/hooks/**\nfile write /w/**", "/w/.git to /w/a"},
	{ISSUE, "file deny /w/?git/hooks\nfile write /w/**", "it may rename a directory"},
	/* With it the same rules hold, or it can't be moved, or nothing can take its place. */
	{ISSUE, ISSUE, NULL},
	{ISSUE, "file read /w/.git/hooks/** /w/docs/**\nfile write /w/**", NULL},
	{ISSUE, "file read /w/.git/** /w/*/hooks/**\nfile write /w/**", NULL},
	{ISSUE, "file hide /w/.git\nfile write /w/**", NULL},
	{ISSUE, "file deny /w/.git\nfile deny /w/*/hooks\nfile write /w/**", NULL},
	{ISSUE, "file read /w/.git /w/*/hooks/**\nfile write /w/**", NULL},
	{ISSUE, "file append /w/.git /w/*/hooks/**\nfile write /w/**", "it allows more: file /w/"},
	{ISSUE, "file read /w/**", NULL},
	{ISSUE, "file append /w/src/**\nfile read /w/**", NULL},
	{ISSUE, "file write /w/src/**", NULL},
	{ISSUE, "file write /w/.git/refs/**\nfile read /w/**", NULL},
	{"file read /w/*/hooks/**\nfile write /w/**", ISSUE, "it allows more: file /w/"},
	{"file read /w/*/hooks/**\nfile write /w/**",
	 "file read /w/*/hooks/**\nfile read /w/.git/**\nfile write /w/**", NULL},
	{"file write /w/**", "file read /w/*/hooks/**\nfile write /w/**", NULL},
	/* Deeper, and with another default. */
	{"file read /w/**/.git/hooks/**\nfile write /w/**",
	 "file read /w/**/hooks/**\nfile write /w/**", "it may rename a directory"},
	{"file read /w/**/.git/hooks/**\nfile write /w/**",
	 "file read /w/**/.git/hooks/**\nfile read /w/x/**\nfile write /w/**", NULL},
	{"file write /w/a/** /w/b/x", "file write /w/a/x /w/b/x /w/a /w/b", "it allows more: file"},
	{"file write /w/a/** /w/b\nfile write /w/b/x", "file write /w/a /w/a/x /w/b /w/b/x",
	 "it may rename a directory"},
	{"file write /w/a /w/b\nfile write /w/a/x /w/b/x", "file write /w/a /w/a/x /w/b /w/b/x",
	 NULL},
	{"file hide /w/**/.env\nfile write /w/**",
	 "file hide /w/**/.env\nfile deny /w/top\nfile write /w/**", NULL},
};

START_TEST(renames_of_directories_are_compared)
{
	struct policy *parent, *child;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		parent = good(pairs[i].parent);
		child = good(pairs[i].child);
		why.text[0] = '\0';
		ret = policy_is_narrower(child, parent, &why);
		ck_assert_msg(ret == (pairs[i].wanted ? -EPERM : 0) &&
				      (!pairs[i].wanted || strstr(why.text, pairs[i].wanted)),
			      "%s / %s: %d %s", pairs[i].parent, pairs[i].child, ret, why.text);
		policy_free(parent);
		policy_free(child);
	}
}
END_TEST

/* The example of the message is one: the child renames what the parent does not. */
START_TEST(the_message_names_two_directories)
{
	struct policy *parent = good(ISSUE);
	struct policy *child = good("file read /w/*/hooks/**\nfile write /w/**");
	char from[64], to[64];

	ck_assert_int_eq(policy_is_narrower(child, parent, &why), -EPERM);
	ck_assert_int_eq(sscanf(why.text,
				"it allows more: it may rename a directory %63s to %63[^,],", from,
				to),
			 2);
	ck_assert_int_eq(rename_directory(child, from, to), POLICY_ALLOW);
	ck_assert_int_eq(rename_directory(parent, from, to), POLICY_DENY);
	policy_free(parent);
	policy_free(child);
}
END_TEST

START_TEST(only_within_a_writable_share)
{
	static const char rules[] = "file read /w/a/k/** /x/a/k/**\nfile write /w/** /x/**\n";
	static const char alike[] = "file read /w/a/k/** /x/*/k/**\nfile write /w/** /x/**\n";
	char text[2][256];
	struct policy *parent, *child;

	/* Two directories of different shares are not renamed to each other. */
	snprintf(text[0], sizeof(text[0]), "share x /x\n%s", rules);
	parent = good(text[0]);
	child = good(text[0]);
	ck_assert_int_eq(policy_is_narrower(child, parent, &why), 0);
	policy_free(child);
	snprintf(text[1], sizeof(text[1]), "share x /x\n%s", alike);
	child = good(text[1]);
	ck_assert_int_eq(policy_is_narrower(child, parent, &why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why.text, "directory /x/"));
	policy_free(child);
	snprintf(text[1], sizeof(text[1]), "share x /x ro\n%s", alike);
	child = good(text[1]);
	ck_assert_int_eq(policy_is_narrower(child, parent, &why), 0);
	policy_free(child);
	policy_free(parent);
}
END_TEST

/* --- against decisions ------------------------------------------------------------------------ */

static unsigned any(unsigned below)
{
	return (unsigned)random() % below;
}

static void any_rules(char *text, size_t size)
{
	static const char *const actions[] = {"read", "hide", "deny", "write", "append"};
	static const char *const patterns[] = {"/w/a/k/**", "/w/*/k/**", "/w/b/k",   "/w/**/k/**",
					       "/w/a",	    "/w/[ab]/b", "/w/*/*/k", "/w/?/b/**",
					       "/w/a/**",   "/w/b/*"};
	size_t at = 0;
	unsigned n;

	for (n = 1 + any(3); n > 0; n--)
		at += (size_t)snprintf(text + at, size - at, "file %s %s\n",
				       actions[any(ARRAY_SIZE(actions))],
				       patterns[any(ARRAY_SIZE(patterns))]);
	snprintf(text + at, size - at, "file %s /w/**\n", any(4) ? "write" : "read");
}

#define DIRECTORIES 84 /* of four names, up to three deep */

/* The number of a path, as components. */
static void name_directory(unsigned number, char path[16])
{
	static const char *const names[] = {"a", "b", "k", "zz"};
	unsigned depth = number < 4 ? 1 : number < 20 ? 2 : 3;
	size_t at = 0;

	number -= depth == 1 ? 0 : depth == 2 ? 4 : 20;
	for (path[0] = '\0'; depth > 0; depth--, number /= 4)
		at += (size_t)sprintf(path + at, "/%s", names[number % 4]);
}

/* What the rules say about each directory, and about what is beneath it. */
struct rights {
	uint8_t itself[DIRECTORIES], beneath[DIRECTORIES][DIRECTORIES];
};

static uint8_t right_to(const struct policy *policy, const char *path)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = path,
		.length = strlen(path),
	};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.rule ? (uint8_t)decision.rule->action : 0xff;
}

static void read_rights(const struct policy *policy, struct rights *rights)
{
	char directory[16], name[16], path[40];
	unsigned i, k;

	for (i = 0; i < DIRECTORIES; i++) {
		name_directory(i, directory);
		snprintf(path, sizeof(path), "/w%s", directory);
		rights->itself[i] = right_to(policy, path);
		for (k = 0; k < DIRECTORIES; k++) {
			name_directory(k, name);
			snprintf(path, sizeof(path), "/w%s%s", directory, name);
			rights->beneath[i][k] = right_to(policy, path);
		}
	}
}

/* Whether a directory may be given another name, as far as these paths show. */
static bool may_move(const struct rights *rights, unsigned from, unsigned to)
{
	return rights->itself[from] == POLICY_ACTION_WRITE &&
	       rights->itself[to] == POLICY_ACTION_WRITE &&
	       memcmp(rights->beneath[from], rights->beneath[to], DIRECTORIES) == 0;
}

/* Whether the child moves a directory that the parent does not; and that decisions agree. */
static bool moves_more(const struct policy *child, const struct policy *parent)
{
	static struct rights of_child, of_parent;
	char path[2][16], from[24], to[24];
	bool more = false;
	unsigned i, k;

	read_rights(child, &of_child);
	read_rights(parent, &of_parent);
	for (i = 0; i < DIRECTORIES; i++)
		for (k = 0; k < DIRECTORIES; k++) {
			more |= may_move(&of_child, i, k) && !may_move(&of_parent, i, k);
			if (any(100) || may_move(&of_child, i, k))
				continue;
			name_directory(i, path[0]);
			name_directory(k, path[1]);
			snprintf(from, sizeof(from), "/w%s", path[0]);
			snprintf(to, sizeof(to), "/w%s", path[1]);
			ck_assert_int_ne(rename_directory(child, from, to), POLICY_ALLOW);
		}
	return more;
}

/* Also with rules that never decide, of which 'policy check' warns. */
static struct policy *parse_all(const char *rules)
{
	struct policy_source source = here;
	struct policy *policy;
	char text[2048];

	source.copied = true;
	snprintf(text, sizeof(text), "policy 1\nshare . /w\n%s", rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &why) == 0, "%s",
		      why.text);
	return policy;
}

START_TEST(no_rename_escapes_a_proof)
{
	static const char *const more[] = {"file read /w/**/k/**\n", "file deny /w/b/**\n",
					   "file read /w/*/k/**\n", "file hide /w/?/b\n"};
	unsigned round, proven = 0, refused = 0, needless = 0;
	char rules[1024], text[2048];
	struct policy *parent, *child;
	int ret;

	srandom(18);
	for (round = 0; round < 600; round++) {
		any_rules(rules, sizeof(rules));
		parent = parse_all(rules);
		/* Behind others, as an operator narrows a policy; or any. */
		snprintf(text, sizeof(text), "%s%s", more[any(ARRAY_SIZE(more))], rules);
		if (any(4) == 0)
			any_rules(text, sizeof(text));
		child = parse_all(text);
		ret = policy_is_narrower(child, parent, &why);
		if (ret == 0) {
			ck_assert_msg(!moves_more(child, parent), "%s / %s", rules, text);
			proven++;
		} else if (strstr(why.text, "may rename")) {
			refused++;
			needless += !moves_more(child, parent);
		}
		policy_free(child);
		policy_free(parent);
	}
	/* It proves something only if there were both, and hardly one without an example. */
	ck_assert_uint_gt(proven, 200);
	ck_assert_uint_gt(refused, 20);
	ck_assert_uint_lt(needless, refused / 5);
}
END_TEST

START_TEST(presets_are_narrower_than_themselves)
{
	struct policy_source source = here;
	struct policy *parent, *child;
	size_t i;

	for (i = 0; policy_preset_name(i); i++) {
		ck_assert_int_eq(policy_preset(&parent, policy_preset_name(i), &source, &why), 0);
		ck_assert_int_eq(policy_preset(&child, policy_preset_name(i), &source, &why), 0);
		ck_assert_msg(policy_is_narrower(child, parent, &why) == 0, "%s: %s",
			      policy_preset_name(i), why.text);
		policy_free(parent);
		policy_free(child);
	}
}
END_TEST

START_TEST(presets_may_be_narrowed)
{
	static const char *const more[] = {"file hide /here/private\n",
					   "file deny /here/**/*.key\n",
					   "file hide /here/**/tmp/**\n"};
	struct policy_source source = here;
	struct policy *parent, *child;
	char text[128];
	size_t i;
	int ret;

	ck_assert_int_eq(policy_preset(&parent, "workspace", &source, &why), 0);
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		snprintf(text, sizeof(text), "policy 1\n%sinclude workspace\n", more[i]);
		ck_assert_int_eq(policy_parse(&child, text, strlen(text), &source, &why), 0);
		ret = policy_is_narrower(child, parent, &why);
		/* What the preset hides may not be shown again, be it denied. */
		ck_assert_msg(ret == (i == 1 ? -EPERM : 0), "%s: %s", more[i], why.text);
		policy_free(child);
	}
	policy_free(parent);
}
END_TEST

UNIT_MAIN("policy_moves", renames_of_directories_are_compared, the_message_names_two_directories,
	  only_within_a_writable_share, no_rename_escapes_a_proof,
	  presets_are_narrower_than_themselves, presets_may_be_narrowed)
