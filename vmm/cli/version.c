/* SPDX-License-Identifier: Apache-2.0 */
/* cordon version: print the version. */
#include <stdio.h>

#include "vmm/cli/verb.h"

const char *version_revision = "?";

static int run(int argc, char **argv, struct err *err)
{
	(void)argv;
	if (argc > 1)
		return verb_usage_error(&verb_version, NULL, "takes no argument", err);
	printf("cordon %s (%s)\n", CORDON_VERSION, version_revision);
	return 0;
}

const struct verb verb_version = {
	.name = "version",
	.group = VERB_HOST,
	.usage = "",
	.summary = "print the version and the git revision",
	.run = run,
};
