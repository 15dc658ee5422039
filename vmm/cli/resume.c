/* SPDX-License-Identifier: Apache-2.0 */
/* cordon resume: let the processors of a paused sandbox go on. */
#include "vmm/cli/cli.h"
#include "vmm/cli/request.h"

int cmd_resume(int argc, char **argv)
{
	return request_simple(argc, argv, json_pack("{s:s}", "op", "resume"));
}
