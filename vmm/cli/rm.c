/* SPDX-License-Identifier: Apache-2.0 */
/* cordon rm: remove the records of sandboxes that have ended. */
#include <errno.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/control/record.h"
#include "vmm/control/registry.h"

static int remove_one(const char *id, struct err *err)
{
	pid_t pid;
	int ret = record_check_id(id, err);

	if (ret < 0)
		return ret;
	/* What a killed monitor left in the run directory goes as well. */
	if (!strchr(id, '~') && registry_find(id, &pid, NULL) == 0)
		return err_set(err, EBUSY, "%s runs (process %d): stop or kill it first", id,
			       (int)pid);
	return record_remove(id, err);
}

/* All that can be removed are, and what can't is told. */
int cmd_rm(int argc, char **argv)
{
	struct err err;
	int i, status = 0;

	if (argc < 2) {
		log_error("rm: which sandbox? cordon rm NAME ...");
		return EXIT_CORDON;
	}
	for (i = 1; i < argc; i++) {
		if (remove_one(argv[i], &err) == 0)
			continue;
		log_error("%s", err.text);
		status = EXIT_CORDON;
	}
	return status;
}
