/* SPDX-License-Identifier: Apache-2.0 */
/* cordon pause: stop the processors of a sandbox. */
#include "vmm/cli/cli.h"
#include "vmm/cli/request.h"

int cmd_pause(int argc, char **argv)
{
	return request_simple(argc, argv, json_pack("{s:s}", "op", "pause"));
}
