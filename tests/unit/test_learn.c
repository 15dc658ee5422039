/* SPDX-License-Identifier: Apache-2.0 */
/* policy learn: for any file name it writes one rule, for that file or its kind. */
#include "vmm/cli/learn_pattern.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/protected.h"

static const struct policy_source here = {.name = "p", .directory = "/", .cwd = "/here"};

static struct err err;

/* A policy of the one learned rule. */
static struct policy *policy_of(const char *pattern)
{
	char text[4096];
	struct policy *policy;

	snprintf(text, sizeof(text), "policy 1\nshare /x /w\nfile read %s\n", pattern);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &here, &err) == 0, "%s: %s",
		      pattern, err.text);
	ck_assert_uint_eq(policy_rule_count(policy, POLICY_FILE), 1);
	ck_assert_uint_eq(policy_rule_count(policy, POLICY_NET), 0);
	return policy;
}

static bool reads(const struct policy *policy, const char *path)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = path,
		.length = strlen(path),
	};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict == POLICY_ALLOW;
}

START_TEST(names_come_back_as_they_are)
{
	static const char *const paths[] = {
		"/w/a b",
		"/w/a  b ",
		"/w/#x",
		"/w/a #b",
		"/w/*",
		"/w/**",
		"/w/?",
		"/w/[a-z]",
		"/w/[!a]",
		"/w/a\\b",
		"/w/\\",
		"/w/$PWD",
		"/w/\xc3\xa4\xe6\xbc\xa2",
		"/w/a\"b'c`d$(e)",
		"/w/-x",
		"/w/net allow tcp host:1-65535",
		"/w/a\xc2\xa0z",
		"/w/\xe2\x80\xa7",
		"/w/~",
	};
	char pattern[LEARN_PATTERN_SIZE];
	struct policy *policy;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		ck_assert_msg(learn_pattern(paths[i], strlen(paths[i]), pattern), "%s", paths[i]);
		policy = policy_of(pattern);
		for (k = 0; k < ARRAY_SIZE(paths); k++)
			ck_assert_msg(reads(policy, paths[k]) == (k == i), "%s: %s", pattern,
				      paths[k]);
		policy_free(policy);
	}
}
END_TEST

/* Every byte in the middle of a name is left out, or matches itself. */
START_TEST(bytes_are_left_out_or_come_back)
{
	static const char *const sequences[] = {
		"\xc2\x80",	"\xc2\x9b",	"\xc2\x9f",	"\xd8\x9c",	"\xe2\x80\x8e",
		"\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaa", "\xe2\x80\xae",
		"\xe2\x81\xa6", "\xe2\x81\xa9", "\xc3",		"\xed\xa0\x80",
	};
	char pattern[LEARN_PATTERN_SIZE], path[64];
	struct policy *policy;
	unsigned byte;
	size_t i;
	bool plain;

	for (byte = 1; byte < 256; byte++) {
		snprintf(path, sizeof(path), "/w/a%cb", byte);
		plain = byte >= ' ' && byte < 0x7f && byte != '/';
		if (byte == '/')
			continue;
		ck_assert_msg(learn_pattern(path, strlen(path), pattern) == plain, "%02x", byte);
		if (!plain)
			continue;
		policy = policy_of(pattern);
		ck_assert(reads(policy, path));
		policy_free(policy);
	}
	for (i = 0; i < ARRAY_SIZE(sequences); i++) {
		snprintf(path, sizeof(path), "/w/a%sb", sequences[i]);
		ck_assert_msg(!learn_pattern(path, strlen(path), pattern), "%zu", i);
	}
	ck_assert(!learn_pattern("/w/notes\nnet\tallow\ttcp\thost:1-65535", 38, pattern));
}
END_TEST

START_TEST(random_names_become_their_kind)
{
	static const struct {
		const char *path, *pattern;
	} names[] = {
		{"/w/.git/objects/ab", "/w/.git/objects/[0-9a-f][0-9a-f]"},
		{"/w/.git/objects/ab/cdef01", "/w/.git/objects/[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]*"},
		{"/w/.git/objects/ab/tmp_obj_Xy12Zz", "/w/.git/objects/[0-9a-f][0-9a-f]/tmp_obj_*"},
		{"/w/a b/.git/objects/pack/tmp_pack_x1", "/w/a\\ b/.git/objects/pack/tmp_*"},
		{"/w/.git/next-index-123.lock", "/w/.git/next-index-*"},
		{"/w/sedA1b2C3", "/w/sed[0-9A-Za-z][0-9A-Za-z][0-9A-Za-z][0-9A-Za-z][0-9A-Za-z]"
				 "[0-9A-Za-z]"},
		/* These stay literal. */
		{"/w/.git/index.lock", "/w/.git/index.lock"},
		{"/w/.git/refs/heads/x", "/w/.git/refs/heads/x"},
		{"/w/.git/objects/ab/HEAD", "/w/.git/objects/ab/HEAD"},
		{"/w/.git/objects/pack/config", "/w/.git/objects/pack/config"},
		{"/w/objects/ab/cdef01", "/w/objects/ab/cdef01"},
		{"/w/sed", "/w/sed"},
		{"/tmp", "/tmp"},
	};
	static const char *const harmful[] = {
		"HEAD",
		"config",
		"commondir",
		"hooks",
		"objects/info/alternates",
		"objects/ab/HEAD",
		"objects/pack/HEAD",
		"info/attributes",
		"config.worktree",
		"hooks/post-checkout",
	};
	char pattern[LEARN_PATTERN_SIZE], path[128];
	struct policy *policy;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert(learn_pattern(names[i].path, strlen(names[i].path), pattern));
		ck_assert_str_eq(pattern, names[i].pattern);
		if (!strpbrk(pattern, "*["))
			continue;
		policy = policy_of(pattern);
		ck_assert(reads(policy, names[i].path));
		for (k = 0; k < ARRAY_SIZE(harmful); k++) {
			snprintf(path, sizeof(path), "/w/.git/%s", harmful[k]);
			ck_assert_msg(!reads(policy, path), "%s: %s", pattern, path);
		}
		policy_free(policy);
	}
}
END_TEST

START_TEST(host_names_mean_themselves)
{
	static const char *const bad[] = {"",	 "*",	 "*.a",	 "a b", "a\tb", "a:1",
					  "a/b", "a\\b", "a\nb", "A",	"-a",	"1.2.3.4",
					  ".a",	 "a.",	 "a..b", "12"};
	size_t i;

	ck_assert(learn_is_host_name(NULL));
	ck_assert(learn_is_host_name("a-b.example.com"));
	ck_assert(learn_is_host_name("_srv.example.com"));
	ck_assert(learn_is_host_name("1.2.3.a"));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!learn_is_host_name(bad[i]), "%s", bad[i]);
}
END_TEST

UNIT_MAIN("learn", names_come_back_as_they_are, bytes_are_left_out_or_come_back,
	  random_names_become_their_kind, host_names_mean_themselves)
