/* SPDX-License-Identifier: Apache-2.0 */
/* cordon kill: end a sandbox at once. */
#include <errno.h>

#include "vmm/cli/verb.h"
#include "vmm/cli/request.h"
#include "vmm/control/registry.h"

/* A monitor that does not reply is killed. */
static int run(int argc, char **argv, struct err *err)
{
	struct message reply;
	pid_t pid;
	int ret = request_one_name(&verb_kill, argc, argv, err);

	if (ret == 0)
		ret = registry_find(argv[1], &pid, err);
	if (ret == 0) {
		ret = client_request_once(argv[1], PATIENCE_MS,
					  json_pack("{s:s,s:b}", "op", "stop", "kill", 1), &reply,
					  err);
		if (ret == 0) {
			request_print_planted(&reply);
			message_clear(&reply);
		} else {
			ret = registry_kill(argv[1], err);
		}
		if (ret == -ESRCH) /* it ended meanwhile */
			ret = 0;
	}
	return ret;
}

const struct verb verb_kill = {
	.name = "kill",
	.group = VERB_SANDBOXES,
	.usage = "NAME",
	.summary = "end a sandbox at once",
	.description = "Also ends a sandbox whose monitor does not reply.",
	.see_also = "stop wait",
	.run = run,
};
