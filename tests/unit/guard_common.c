/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/guard_common.h"

struct err why;
char deep[2 * DEPTH + 16];

size_t make_deep(void)
{
	size_t used = (size_t)sprintf(deep, "/w");
	unsigned i;

	for (i = 0; i < DEPTH; i++)
		used += (size_t)sprintf(deep + used, "/%c", 'a' + i % 3);
	return used + (size_t)sprintf(deep + used, "/f");
}

struct policy *make(unsigned number, const char *rules)
{
	char name[16], text[256];
	const struct policy_source source = {.name = name, .directory = "/"};
	struct policy *policy;

	snprintf(name, sizeof(name), "p%u", number);
	snprintf(text, sizeof(text), "policy 1\nshare a /w\n%s", rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &why) == 0, "%s",
		      why.text);
	return policy;
}

uint64_t used(const struct files_host *host, uint64_t *before)
{
	uint64_t now = guard_uses(host->guard), since = now - *before;

	*before = now;
	return since;
}
