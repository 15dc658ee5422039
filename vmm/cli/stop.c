/* SPDX-License-Identifier: Apache-2.0 */
/* cordon stop: end the commands of a sandbox and switch it off. */
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

static int run(int argc, char **argv, struct err *err)
{
	return request_simple(&verb_stop, argc, argv, json_pack("{s:s}", "op", "stop"), err);
}

const struct verb verb_stop = {
	.name = "stop",
	.group = VERB_SANDBOXES,
	.usage = "NAME",
	.summary = "end the commands of a sandbox and switch it off",
	.description =
		"Sends SIGTERM to the commands of the sandbox, gives them 10 seconds, and switches "
		"it off.",
	.see_also = "kill wait",
	.run = run,
};
