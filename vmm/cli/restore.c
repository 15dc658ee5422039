/* SPDX-License-Identifier: Apache-2.0 */
/* cordon restore: a sandbox from a snapshot. */
#include <stdlib.h>
#include <sys/stat.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/start_options.h"

/* From this size on it may take long enough to say so: 256 MiB, as st_blocks counts. */
#define LARGE_BLOCKS ((blkcnt_t)(MIB(256) / 512))

static const struct option_entry entries[] = {
	{"verify", 0, OPTION_FLAG, NULL, "read all of the memory in FILE first, and check it",
	 .offset = offsetof(struct start_options, base.sandbox.verify)},
};

static const struct option_table table = {"Snapshot", entries, ARRAY_SIZE(entries)};

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_restore, NULL, 2, 2,
						"which snapshot, and which name for the sandbox?"};
	static struct start_options options;
	const struct option_set sets[] = {
		{&table, &options},
		{&start_option_table, &options},
		{&policy_option_table, &options.base.policy_options},
		{&share_option_table, &options.base.policy_options},
		{&root_option_table, &options.base},
		{&isolation_option_table, &options.base},
		{&network_option_table, &options.base},
		{&audit_option_table, &options.base.policy_options},
		{&quiet_option_table, NULL},
	};
	struct stat status;
	char *path;
	int ret;

	sandbox_options_init(&options.base);
	ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err);
	if (ret < 0)
		return ret;
	path = realpath(argv[1], NULL);
	options.base.sandbox.snapshot = path;
	options.base.sandbox.machine.agent = true;
	ret = path ? sandbox_options_rootfs(&options.base, err) : err_sys(err, "%s", argv[1]);
	if (ret == 0)
		ret = sandbox_options_policy(&options.base, err);
	if (ret == 0 && stat(path, &status) == 0 &&
	    (options.base.sandbox.verify || status.st_blocks >= LARGE_BLOCKS))
		log_progress("restoring %s from %s (%lld MiB)", argv[2], argv[1],
			     (long long)status.st_blocks * 512 >> 20);
	if (ret == 0)
		ret = start_sandbox(&options, "restore", argv[2], err);
	free(path);
	return ret;
}

static const struct option_table *const tables[] = {
	&table,
	&start_option_table,
	&policy_option_table,
	&share_option_table,
	&root_option_table,
	&isolation_option_table,
	&network_option_table,
	&audit_option_table,
	&quiet_option_table,
	NULL,
};

const struct verb verb_restore = {
	.name = "restore",
	.group = VERB_IMAGES,
	.usage = "[options] FILE NAME",
	.summary = "start a sandbox from a snapshot",
	.description =
		"Starts a sandbox called NAME from a file that `cordon snapshot` wrote, any number "
		"of times. `--rootfs` gives the place of the root file system that the sandbox "
		"had: the directory, `host`, or the same image. Shares, policy and network are as "
		"the options say now; the default policy is `locked`.",
	.options = tables,
	.notes =
		"Commands that ran under `cordon exec` end at that point; processes that they left "
		"behind go on. Random numbers, clock and host name are made the new sandbox's own "
		"first.\n"
		"\n"
		"Files that were open in a share at the same place stay open if they exist and the "
		"policy allows them; otherwise operations on them fail.\n"
		"\n"
		"A file can be used by the same version of cordon on a host with the same "
		"processor features.",
	.examples = "  cordon snapshot box box.snap\n"
		    "  cordon restore box.snap again",
	.see_also = "snapshot fork start cordon-policy(5)",
	.run = run,
};
