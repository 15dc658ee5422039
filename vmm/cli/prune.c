/* SPDX-License-Identifier: Apache-2.0 */
/* cordon prune: remove the records of all sandboxes that have ended. */
#include <errno.h>
#include <stdio.h>

#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/control/record.h"

int cmd_prune(int argc, char **argv)
{
	static const struct record_bounds none;
	struct err err;
	int ret = 0;

	if (argc != 1)
		ret = err_set(&err, EINVAL, "%s: takes no argument", argv[0]);
	if (ret == 0)
		ret = record_prune(&none, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	printf("%d record%s removed\n", ret, ret == 1 ? "" : "s");
	return 0;
}
