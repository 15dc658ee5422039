/* SPDX-License-Identifier: Apache-2.0 */
/* cordon snapshot: save a sandbox into a file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/new_file.h"
#include "vmm/cli/policy_remote.h"
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

static int exists(const char *path, struct err *err)
{
	return err_set(err, EEXIST, "snapshot: %s exists: give --force to replace it", path);
}

/*
 * Opens the file that is to be FILE. The monitor opens nothing by name: it gets the descriptor. 0
 * or -errno with a message.
 */
static int make_file(struct new_file *file, int control, const char *path, bool force,
		     struct err *err)
{
	struct share_tops writable = {.count = 0};
	struct stat status;
	const char *name;
	int directory = -1, ret = policy_fetch_writable(control, &writable, err);

	if (ret == 0)
		ret = directory = share_links_open_parent(&writable, path, "file", &name, err);
	if (ret >= 0 && !force && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		ret = exists(path, err);
	if (ret >= 0) {
		ret = new_file_open(file, directory, name);
		if (ret < 0)
			err_code(err, -ret, "snapshot: %s", path);
	}
	fd_close(&directory);
	share_tops_free(&writable);
	return ret;
}

static int save(int control, const char *name, const char *path, bool force, struct err *err)
{
	struct new_file file = NEW_FILE_NONE;
	struct message reply;
	int ret = make_file(&file, control, path, force, err);

	if (ret == 0) {
		log_progress("saving %s into %s", name, path);
		ret = client_request_with(control, json_pack("{s:s}", "op", "snapshot"), &file.fd,
					  1, &reply, err);
	}
	if (ret == 0) {
		message_clear(&reply);
		ret = new_file_finish(&file, force);
		if (ret == -EEXIST)
			exists(path, err);
		else if (ret < 0)
			err_code(err, -ret, "snapshot: %s", path);
	}
	new_file_close(&file);
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_snapshot, NULL, 2, 2,
						"which sandbox, into which file?"};
	struct snapshot_options options = {.force = false};
	const struct option_set sets[] = {{&table, &options}, {&quiet_option_table, NULL}};
	int ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err), control;

	if (ret < 0)
		return ret;
	control = client_connect(argv[1], 0, err);
	if (control < 0)
		return control;
	ret = save(control, argv[1], argv[2], options.force, err);
	fd_close(&control);
	return ret;
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
