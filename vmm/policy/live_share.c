/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/live_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/internal.h"

/* Parses the policy's text again. Takes over share. */
static int make(struct policy **made, const struct policy *policy, struct policy_share *share,
		size_t shares, struct err *err)
{
	struct policy_source source = policy->source;
	int ret;

	source.share = share;
	source.shares = shares;
	ret = policy_parse(made, policy->text, strlen(policy->text), &source, err);
	free(share);
	return ret;
}

/* A copy of the list, with room for one more. */
static struct policy_share *copy_shares(const struct policy_source *source)
{
	struct policy_share *share = calloc(source->shares + 1, sizeof(*share));

	if (share && source->shares > 0)
		memcpy(share, source->share, source->shares * sizeof(*share));
	return share;
}

int policy_with_share(struct policy **made, const struct policy *policy,
		      const struct policy_share *added, struct err *err)
{
	const struct policy_source *source = &policy->source;
	struct policy_share *share;

	*made = NULL;
	if (policy->shares == POLICY_SHARES_MAX)
		return err_set(err, E2BIG, "more than %d shares", POLICY_SHARES_MAX);
	share = copy_shares(source);
	if (!share)
		return err_set(err, ENOMEM, "out of memory");
	share[source->shares] = *added;
	return make(made, policy, share, source->shares + 1, err);
}

int policy_without_share(struct policy **made, const struct policy *policy, const char *guest,
			 struct err *err)
{
	const struct policy_source *source = &policy->source;
	struct policy_share *share;
	size_t i, k;

	*made = NULL;
	for (i = 0; i < source->shares && strcmp(source->share[i].guest, guest) != 0; i++)
		;
	for (k = 0; i == source->shares && k < policy->shares; k++)
		if (strcmp(policy->share[k].guest, guest) == 0)
			return err_set(err, EPERM, "%s is a share of the policy (%s:%u), and stays",
				       guest, policy->share[k].file, policy->share[k].line);
	if (i == source->shares)
		return err_set(err, ENOENT, "no share is at %s", guest);
	share = copy_shares(source);
	if (!share)
		return err_set(err, ENOMEM, "out of memory");
	memmove(&share[i], &share[i + 1], (source->shares - i - 1) * sizeof(*share));
	return make(made, policy, share, source->shares - 1, err);
}
