/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/hint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/exit_status.h"

static bool host_has(const char *program)
{
	const char *path = getenv("PATH"), *end;
	char file[PATH_MAX];
	int length;

	if (strchr(program, '/'))
		return access(program, X_OK) == 0;
	for (path = path ? path : "/usr/bin:/bin"; path; path = end ? end + 1 : NULL) {
		end = strchr(path, ':');
		length = end ? (int)(end - path) : (int)strlen(path);
		if (length > 0 &&
		    snprintf(file, sizeof(file), "%.*s/%s", length, path, program) <
			    (int)sizeof(file) &&
		    access(file, X_OK) == 0)
			return true;
	}
	return false;
}

const char *hint_not_found(const char *program, int status, bool builtin_root)
{
	static char text[256];

	if (status != EXIT_NOT_FOUND || !builtin_root || !host_has(program))
		return "";
	snprintf(text, sizeof(text),
		 ": without --rootfs its programs are busybox's; --rootfs host shows those of this "
		 "host, which has %.60s",
		 program);
	return text;
}
