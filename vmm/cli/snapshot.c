/* SPDX-License-Identifier: Apache-2.0 */
/* cordon snapshot: save a sandbox into a file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/verb.h"
#include "vmm/control/client.h"

struct snapshot_options {
	bool force;
};

static const struct option_entry entries[] = {
	{"force", 'f', OPTION_FLAG, NULL, "replace FILE if it exists",
	 .offset = offsetof(struct snapshot_options, force)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int run(int argc, char **argv, struct err *err)
{
	struct message reply;
	char path[PATH_MAX], directory[PATH_MAX];
	static const struct verb_words words = {&verb_snapshot, NULL, 2, 2,
						"which sandbox, into which file?"};
	struct snapshot_options options = {.force = false};
	const struct option_set sets[] = {{&table, &options}, {&quiet_option_table, NULL}};
	int ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err);

	if (ret < 0)
		return ret;
	ret = 0;
	if (argv[2][0] == '/')
		snprintf(path, sizeof(path), "%s", argv[2]);
	else if (!getcwd(directory, sizeof(directory)) ||
		 snprintf(path, sizeof(path), "%s/%s", directory, argv[2]) >= (int)sizeof(path))
		ret = err_set(err, ENAMETOOLONG, "snapshot: %s: the path is too long", argv[2]);
	if (ret == 0 && !options.force && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		ret = err_set(err, EEXIST, "snapshot: %s exists: give --force to replace it",
			      argv[2]);
	if (ret == 0)
		log_progress("saving %s into %s", argv[1], argv[2]);
	if (ret == 0)
		ret = client_request_once(argv[1], 0,
					  json_pack("{s:s,s:s}", "op", "snapshot", "path", path),
					  &reply, err);
	if (ret < 0)
		return ret;
	message_clear(&reply);
	return 0;
}

static const struct option_table *const tables[] = {&table, &quiet_option_table, NULL};

const struct verb verb_snapshot = {
	.name = "snapshot",
	.group = VERB_IMAGES,
	.usage = "[-q] [--force] NAME FILE",
	.options = tables,
	.summary = "save a sandbox into a file",
	.description =
		"Saves the sandbox, memory included, into a file that only its owner can read. The "
		"sandbox goes on. A path that leads through a symbolic link within a writable "
		"share of the sandbox is refused.\n"
		"\n"
		"The file can be used by the same version of cordon on a host with the same "
		"processor features.",
	.see_also = "restore fork",
	.run = run,
};
