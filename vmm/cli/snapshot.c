/* SPDX-License-Identifier: Apache-2.0 */
/* cordon snapshot: save a sandbox into a file. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/cli/verb.h"
#include "vmm/control/client.h"

static int run(int argc, char **argv, struct err *err)
{
	struct message reply;
	char path[PATH_MAX], directory[PATH_MAX];
	static const struct verb_words words = {&verb_snapshot, NULL, 2, 2,
						"which sandbox, into which file?"};
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = 0;
	if (argv[2][0] == '/')
		snprintf(path, sizeof(path), "%s", argv[2]);
	else if (!getcwd(directory, sizeof(directory)) ||
		 snprintf(path, sizeof(path), "%s/%s", directory, argv[2]) >= (int)sizeof(path))
		ret = err_set(err, ENAMETOOLONG, "snapshot: %s: the path is too long", argv[2]);
	if (ret == 0)
		ret = client_request_once(argv[1], 0,
					  json_pack("{s:s,s:s}", "op", "snapshot", "path", path),
					  &reply, err);
	if (ret < 0)
		return ret;
	message_clear(&reply);
	return 0;
}

const struct verb verb_snapshot = {
	.name = "snapshot",
	.group = VERB_IMAGES,
	.usage = "NAME FILE",
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
