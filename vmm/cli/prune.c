/* SPDX-License-Identifier: Apache-2.0 */
/* cordon prune: remove the records of all sandboxes that have ended. */
#include <stdio.h>

#include "vmm/cli/verb.h"
#include "vmm/control/record.h"

static int run(int argc, char **argv, struct err *err)
{
	static const struct record_bounds none;
	static const struct verb_words words = {.verb = &verb_prune};
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret == 0)
		ret = record_prune(&none, err);
	if (ret < 0)
		return ret;
	printf("%d record%s removed\n", ret, ret == 1 ? "" : "s");
	return 0;
}

const struct verb verb_prune = {
	.name = "prune",
	.group = VERB_SANDBOXES,
	.usage = "",
	.summary = "remove the records of all sandboxes that have ended",
	.description = "Prints how many records were removed. `cordon help rm` says what a record "
		       "is.",
	.see_also = "rm ps",
	.run = run,
};
