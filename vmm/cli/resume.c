/* SPDX-License-Identifier: Apache-2.0 */
/* cordon resume: resume a paused sandbox. */
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

static int resume_one(const char *name, void *arg, struct err *err)
{
	(void)arg;
	return request_send(name, json_pack("{s:s}", "op", "resume"), err);
}

static int run(int argc, char **argv, struct err *err)
{
	return request_verb(&verb_resume, argc, argv, resume_one, err);
}

const struct verb verb_resume = {
	.name = "resume",
	.group = VERB_SANDBOXES,
	.usage = "NAME ...",
	.summary = "resume a paused sandbox",
	.description = "Sets the guest's clock first.",
	.see_also = "pause",
	.run = run,
};
