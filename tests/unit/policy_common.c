/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/policy_common.h"

const struct policy_source here = {
	.name = "p",
	.directory = "/host",
	.cwd = "/here",
	.home = "/home/u",
};
struct err why;

struct policy *parse_with(const char *text, bool lenient, int *ret)
{
	struct policy_source source = here;
	struct policy *policy;
	char whole[8192];

	source.lenient = lenient;
	ck_assert_int_lt(snprintf(whole, sizeof(whole), "policy 1\nshare . /w\n%s", text),
			 (int)sizeof(whole));
	*ret = policy_parse(&policy, whole, strlen(whole), &source, &why);
	ck_assert_int_eq(policy != NULL, *ret == 0);
	return policy;
}

struct policy *good(const char *text)
{
	int ret;
	struct policy *policy = parse_with(text, true, &ret);

	ck_assert_msg(ret == 0, "%s", why.text);
	return policy;
}

enum policy_verdict ask_file(const struct policy *policy, enum policy_op op, const char *path)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = op,
		.object = path,
		.length = strlen(path),
	};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	ck_assert_ptr_nonnull(decision.reason);
	return decision.verdict;
}

enum policy_verdict rename_directory(const struct policy *policy, const char *from, const char *to)
{
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_RENAME,
		.object = from,
		.length = strlen(from),
		.other = to,
		.other_length = strlen(to),
		.directory = true,
	};
	struct policy_decision decision;

	policy_decide(policy, &request, &decision);
	return decision.verdict;
}
