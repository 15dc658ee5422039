/* SPDX-License-Identifier: Apache-2.0 */
/* cordon rm: remove the records of sandboxes that have ended. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/request.h"
#include "vmm/control/record.h"
#include "vmm/control/registry.h"

#define DYING_US 1000
#define DYINGS	 2000

struct rm_options {
	bool force, no_effect;
};

static const struct option_entry entries[] = {
	{"force", 'f', OPTION_FLAG, NULL,
	 "kill a sandbox that runs first; a name without one is no error",
	 .offset = offsetof(struct rm_options, force)},
	{"volumes", 'v', OPTION_FLAG, NULL,
	 "no effect: shares are directories of the host, and stay",
	 .offset = offsetof(struct rm_options, no_effect)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* A killed monitor holds its record until its last thread has exited. */
static int remove_killed(const char *id, struct err *err)
{
	int tries, ret = record_remove(id, err);

	for (tries = 0; ret == -EBUSY && tries < DYINGS; tries++) {
		usleep(DYING_US);
		ret = record_remove(id, err);
	}
	return ret;
}

static int remove_one(const char *id, void *arg, struct err *err)
{
	const struct rm_options *options = arg;
	pid_t pid;
	int ret = record_check_id(id, err);
	/* registry_find() also removes what a killed monitor left in the run directory. */
	bool runs = ret == 0 && !strchr(id, '~') && registry_find(id, &pid, NULL) == 0;

	if (ret < 0)
		return ret;
	if (runs && !options->force)
		return err_set(err, EBUSY, "%s runs (process %d): stop or kill it first, or rm -f",
			       id, (int)pid);
	if (!options->force)
		return record_remove(id, err);
	if (runs)
		ret = request_kill(id, err);
	if (ret == 0 || ret == -ESRCH)
		ret = remove_killed(id, err);
	return ret == -ESRCH ? 0 : ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_rm, NULL, 1, VERB_WORDS_ANY,
						"which sandbox?"};
	struct rm_options options = {.force = false};
	const struct option_set set = {&table, &options};
	int count = verb_words(&words, &set, 1, argc, argv, err);

	return count < 0 ? count : request_each(argv + 1, count, remove_one, &options);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_rm = {
	.name = "rm",
	.group = VERB_SANDBOXES,
	.usage = "[-f] NAME ...",
	.summary = "remove the records of sandboxes that have ended",
	.description =
		"The record of a sandbox (its audit log, policy, console and how it ended) stays "
		"until it is removed. A name can be used again at once: the older record is then "
		"called NAME~1. Of sandboxes that have ended, the last 128 "
		"with a name and the last 32 runs without one keep their records, 512 MiB in all; "
		"the oldest are removed first.",
	.options = tables,
	.see_also = "prune ps",
	.run = run,
};
