/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/protected_common.h"

const struct policy_source here = {.name = "p", .directory = "/", .cwd = "/here", .home = "/u"};
struct err why;

struct policy *workspace(void)
{
	struct policy *policy;

	ck_assert_msg(policy_preset(&policy, "workspace", &here, &why) == 0, "%s", why.text);
	return policy;
}

enum policy_verdict decide(const struct policy *policy, enum policy_op op, const char *name,
			   const char *other)
{
	char path[512], to[512];
	struct policy_request request = {.class = POLICY_FILE, .op = op, .object = path};
	struct policy_decision decision;

	request.length = (size_t)snprintf(path, sizeof(path), "/here/%s", name);
	if (other) {
		request.other = to;
		request.other_length = (size_t)snprintf(to, sizeof(to), "/here/%s", other);
		request.directory = true;
	}
	policy_decide(policy, &request, &decision);
	return decision.verdict;
}

bool writable(const struct policy *policy, const char *name)
{
	return decide(policy, POLICY_WRITE, name, NULL) == POLICY_ALLOW &&
	       decide(policy, POLICY_CREATE, name, NULL) == POLICY_ALLOW;
}
