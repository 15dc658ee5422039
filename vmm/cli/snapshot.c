/* SPDX-License-Identifier: Apache-2.0 */
/* cordon snapshot: save a sandbox into a file. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/cli/cli.h"
#include "vmm/control/client.h"

int cmd_snapshot(int argc, char **argv)
{
	struct message answer;
	char path[PATH_MAX], folder[PATH_MAX];
	struct err err;
	int ret = 0;

	if (argc != 3)
		ret = err_set(&err, EINVAL, "snapshot: cordon snapshot NAME FILE");
	else if (argv[2][0] == '/')
		snprintf(path, sizeof(path), "%s", argv[2]);
	else if (!getcwd(folder, sizeof(folder)) ||
		 snprintf(path, sizeof(path), "%s/%s", folder, argv[2]) >= (int)sizeof(path))
		ret = err_set(&err, ENAMETOOLONG, "snapshot: %s: no such folder", argv[2]);
	if (ret == 0)
		ret = client_request_once(argv[1], 0,
					  json_pack("{s:s,s:s}", "op", "snapshot", "path", path),
					  &answer, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	message_clear(&answer);
	return 0;
}
