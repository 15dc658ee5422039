/* SPDX-License-Identifier: Apache-2.0 */
/* cordon rm: remove the records of sandboxes that have ended. */
#include <errno.h>
#include <string.h>

#include "vmm/cli/request.h"
#include "vmm/control/record.h"
#include "vmm/control/registry.h"

static int remove_one(const char *id, void *arg, struct err *err)
{
	pid_t pid;
	int ret = record_check_id(id, err);

	(void)arg;
	if (ret < 0)
		return ret;
	/* registry_find() also removes what a killed monitor left in the run directory. */
	if (!strchr(id, '~') && registry_find(id, &pid, NULL) == 0)
		return err_set(err, EBUSY, "%s runs (process %d): stop or kill it first", id,
			       (int)pid);
	return record_remove(id, err);
}

static int run(int argc, char **argv, struct err *err)
{
	return request_verb(&verb_rm, argc, argv, remove_one, err);
}

const struct verb verb_rm = {
	.name = "rm",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...",
	.summary = "remove the records of sandboxes that have ended",
	.description =
		"The record of a sandbox (its audit log, policy, console and how it ended) stays "
		"until it is removed. A name can be used again at once: the older record is then "
		"called NAME~1. Of sandboxes that have ended, the last 128 "
		"with a name and the last 32 runs without one keep their records, 512 MiB in all; "
		"the oldest are removed first.",
	.see_also = "prune ps",
	.run = run,
};
