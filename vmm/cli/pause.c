/* SPDX-License-Identifier: Apache-2.0 */
/* cordon pause: stop the processors of a sandbox. */
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

static int pause_one(const char *name, void *arg, struct err *err)
{
	(void)arg;
	return request_send(name, json_pack("{s:s}", "op", "pause"), err);
}

static int run(int argc, char **argv, struct err *err)
{
	return request_verb(&verb_pause, argc, argv, pause_one, err);
}

const struct verb verb_pause = {
	.name = "pause",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...",
	.summary = "stop the processors of a sandbox",
	.description = "A paused sandbox uses none of the host's processors. `cordon resume` lets "
		       "it go on.",
	.see_also = "resume",
	.run = run,
};
