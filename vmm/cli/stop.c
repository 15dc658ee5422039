/* SPDX-License-Identifier: Apache-2.0 */
/* cordon stop: end the commands of a sandbox and switch it off. */
#include "vmm/cli/cli.h"
#include "vmm/cli/request.h"

int cmd_stop(int argc, char **argv)
{
	return request_simple(argc, argv, json_pack("{s:s}", "op", "stop"));
}
