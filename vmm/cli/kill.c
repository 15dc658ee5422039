/* SPDX-License-Identifier: Apache-2.0 */
/* cordon kill: end a sandbox at once. */
#include <errno.h>

#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/request.h"
#include "vmm/control/registry.h"

/* Asks first; a monitor that does not answer is killed. */
int cmd_kill(int argc, char **argv)
{
	struct message answer;
	struct err err;
	pid_t pid;
	int ret = request_one_name(argc, argv, &err);

	if (ret == 0)
		ret = registry_find(argv[1], &pid, &err);
	if (ret == 0) {
		ret = client_request_once(argv[1], PATIENCE_MS,
					  json_pack("{s:s,s:b}", "op", "stop", "kill", 1), &answer,
					  &err);
		if (ret == 0) {
			request_print_planted(&answer);
			message_clear(&answer);
		} else {
			ret = registry_kill(argv[1], &err);
		}
		if (ret == -ESRCH) /* it was just about to go */
			ret = 0;
	}
	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}
