/* SPDX-License-Identifier: Apache-2.0 */
/* Shares in the text of a policy: their options and limits, and errors in them. */
#include "vmm/policy/policy.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tests/unit/policy_common.h"

START_TEST(errors_of_shares_name_line_and_column)
{
	static const struct {
		const char *text, *wanted;
	} bad[] = {
		{"share x", "p:3:1: write share"},
		{"share x /w", "another share is at /w already (p:2)"},
		{"share x w2", "give an absolute path in the guest"},
		{"share x /a/../b", "give an absolute path in the guest"},
		{"share x /proc/1", "the guest itself needs that path"},
		{"share x /", "cannot be the mount point of a share"},
		{"share x /x r", "unknown option 'r': did you mean 'ro'?"},
		{"share x /x uid=-1", "p:3:16: '-1' is not a whole number"},
		{"share x /x owner=hots",
		 "p:3:18: unknown value 'hots' of owner=: did you mean 'host'?"},
		{"share x /x owner=", "p:3:18: unknown value '' of owner=: one of map, host"},
		{"share x /x cache=strct",
		 "p:3:18: unknown value 'strct' of cache=: did you mean 'strict'?"},
		{"share x /x cash=none",
		 "p:3:12: unknown option 'cash=none': did you mean 'cache='?"},
		{"share x /x cache", "did you mean 'cache='?"},
		{"share x /x ro ro", "p:3:15: 'ro' is given twice"},
		{"share x /x owner=host owner=map", "p:3:23: 'owner=' is given twice"},
		{"share x /x uid=1 gid=1 uid=2", "'uid=' is given twice"},
		{"share x /x:ro", "p:3:11: '/x:ro': in a policy, options stand behind a blank"},
		{"share x /x:owner=host", "options stand behind a blank"},
		{"share x /x owner=host\\ ", "unknown value 'host\\ ' of owner="},
		{"limit share-disk=0", "share-disk can't be 0"},
		{"limit share-disk=x", "p:3:18: "},
		{"limit share-disk=10", "p:3:18: '10': at least 4K; with a unit, as in 10G"},
		{"limit share-disk=4095", "at least 4K"},
		{"limit share-files=0", "is not a whole number from 1 to 4294967295"},
		{"limit share-files=4G", "is not a whole number"},
		{"limit share-file=9", "did you mean 'share-files'"},
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		parse_with(bad[i].text, false, &ret);
		ck_assert_msg(ret < 0, "taken: %s", bad[i].text);
		ck_assert_msg(strstr(why.text, bad[i].wanted), "%s: %s", bad[i].text, why.text);
	}
}
END_TEST

START_TEST(options_of_shares_are_read)
{
	static const char text[] = "share a /a\nshare b /b ro\nshare c /c owner=host cache=none\n"
				   "share d /d cache=strict ro owner=map\nshare e /e cache=loose\n"
				   "file write /w/** /a/** /b/** /c/** /d/** /e/**\n"
				   "limit share-disk=10G share-files=100000\n";
	static const enum policy_cache cache[] = {
		POLICY_CACHE_STRICT, POLICY_CACHE_STRICT, POLICY_CACHE_LOOSE,
		POLICY_CACHE_NONE,   POLICY_CACHE_STRICT, POLICY_CACHE_LOOSE,
	};
	struct policy *policy = good(text), *usual = good("file write /w/**\n");
	struct policy *least = good("file write /w/**\nlimit share-disk=4K share-files=1\n");
	const struct policy_limits *limits = policy_limits(policy);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cache); i++) {
		ck_assert_int_eq(policy_share_cache(policy_share(policy, i)), cache[i]);
		ck_assert_int_eq(policy_share(policy, i)->host_owners, i == 3);
		ck_assert_int_eq(policy_cache_named(policy_cache_name(cache[i])), cache[i]);
	}
	ck_assert_int_eq(policy_share(policy, 0)->cache, POLICY_CACHE_USUAL);
	ck_assert_ptr_null(policy_cache_name(POLICY_CACHE_USUAL));
	ck_assert_int_eq(policy_cache_named(NULL), POLICY_CACHE_USUAL);
	ck_assert_int_eq(policy_cache_named("lose"), POLICY_CACHE_USUAL);
	ck_assert_uint_eq(limits->share_disk, 10ull << 30);
	ck_assert_uint_eq(limits->share_files, 100000);
	limits = policy_limits(usual);
	ck_assert_uint_eq(limits->share_disk, 0);
	ck_assert_uint_eq(policy_limit_effective(limits, POLICY_LIMIT_SHARE_DISK),
			  POLICY_SHARE_DISK_USUAL);
	ck_assert_uint_eq(policy_limit_effective(limits, POLICY_LIMIT_SHARE_FILES),
			  POLICY_SHARE_FILES_USUAL);
	ck_assert_uint_eq(policy_limit_effective(limits, POLICY_LIMIT_MEMORY), 0);
	ck_assert_uint_eq(policy_limits(least)->share_disk, POLICY_SHARE_DISK_MIN);
	ck_assert_uint_eq(policy_limits(least)->share_files, 1);
	policy_free(policy);
	policy_free(usual);
	policy_free(least);
}
END_TEST

UNIT_MAIN("policy_shares", errors_of_shares_name_line_and_column, options_of_shares_are_read)
