/* SPDX-License-Identifier: Apache-2.0 */
/* cordon pause: stop the processors of a sandbox. */
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

static int run(int argc, char **argv, struct err *err)
{
	return request_simple(&verb_pause, argc, argv, json_pack("{s:s}", "op", "pause"), err);
}

const struct verb verb_pause = {
	.name = "pause",
	.group = VERB_SANDBOXES,
	.usage = "NAME",
	.summary = "stop the processors of a sandbox",
	.description = "A paused sandbox uses none of the host's processors. `cordon resume` lets "
		       "it go on.",
	.see_also = "resume",
	.run = run,
};
