/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that come and go, in the policy of the sandbox. */
#include <string.h>

#include "vmm/control/requests.h"
#include "vmm/policy/live_share.h"

struct making {
	const struct policy_share *share; /* to add; NULL: the one at guest goes */
	const char *guest;
	struct policy *made; /* NULL: the policy has no such share */
	struct err *err;
	int ret;
};

static bool has(const struct policy *policy, const char *guest)
{
	size_t i;

	for (i = 0; i < policy_share_count(policy); i++)
		if (strcmp(policy_share(policy, i)->guest, guest) == 0)
			return true;
	return false;
}

static void make(void *arg, const struct policy *policy)
{
	struct making *making = arg;

	if (making->share)
		making->ret = policy_with_share(&making->made, policy, making->share, making->err);
	else if (has(policy, making->guest))
		making->ret =
			policy_without_share(&making->made, policy, making->guest, making->err);
}

static int put(struct monitor *monitor, struct making *making)
{
	guard_with_policy(monitor->session.guard, make, making);
	return making->made
		       ? monitor_put_policy(monitor, making->made, monitor->share.by, making->err)
		       : making->ret;
}

int share_to_policy(struct monitor *monitor, const struct policy_share *share, struct err *err)
{
	struct making making = {.share = share, .err = err};

	return put(monitor, &making);
}

int share_from_policy(struct monitor *monitor, const char *guest, struct err *err)
{
	struct making making = {.guest = guest, .err = err};

	return put(monitor, &making);
}

int share_leaves_policy(struct monitor *monitor, const char *guest, struct err *err)
{
	struct making making = {.guest = guest, .err = err};

	guard_with_policy(monitor->session.guard, make, &making);
	policy_free(making.made);
	return making.ret;
}
