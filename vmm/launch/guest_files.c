/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/guest_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

int find_installed_file(const char *in_build, const char *name, char path[PATH_MAX],
			struct err *err)
{
	const char *const places[] = {in_build, "../lib/cordon"};
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;
	size_t i;

	if (length < 0)
		return err_sys(err, "/proc/self/exe");
	program[length] = '\0';
	slash = strrchr(program, '/');
	if (slash)
		*slash = '\0';
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (snprintf(path, PATH_MAX, "%s/%s/%s", program, places[i], name) >= PATH_MAX)
			continue;
		if (access(path, R_OK) == 0)
			return 0;
		/* It may be a link into the home directory of the user who built it. */
		if (errno == EACCES)
			return err_set(err, EACCES,
				       "%s: this user may not read it: 'make install' makes a copy "
				       "for all users",
				       path);
	}
	return err_set(err, ENOENT, "no file %s in %s/%s or %s/../lib/cordon: run 'make'", name,
		       program, in_build, program);
}

int find_guest_file(const char *name, char path[PATH_MAX], struct err *err)
{
	return find_installed_file("guest", name, path, err);
}
