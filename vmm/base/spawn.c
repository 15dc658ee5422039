/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

extern char **environ;

/* The variables that are passed on. A name that ends with "_" is a prefix. */
static const struct {
	const char *name;
	enum spawn_for least; /* passed for this purpose and those after it */
} variables[] = {
	{"PATH", SPAWN_TOOL},
	{"HOME", SPAWN_TOOL},
	{"USER", SPAWN_TOOL},
	{"LOGNAME", SPAWN_TOOL},
	{"LANG", SPAWN_TOOL},
	{"LANGUAGE", SPAWN_TOOL},
	{"LC_", SPAWN_TOOL},
	{"TZ", SPAWN_TOOL},
	{"TMPDIR", SPAWN_TOOL},
	{"XDG_RUNTIME_DIR", SPAWN_TOOL},
	{"XDG_", SPAWN_USER},
	{"SHELL", SPAWN_USER},
	{"TERM", SPAWN_USER},
	{"DISPLAY", SPAWN_USER},
	{"WAYLAND_DISPLAY", SPAWN_USER},
	{"XAUTHORITY", SPAWN_USER},
	{"DBUS_SESSION_BUS_ADDRESS", SPAWN_USER},
};

static bool is_passed(const char *variable, enum spawn_for purpose)
{
	size_t length = strcspn(variable, "="), i, name;

	for (i = 0; i < ARRAY_SIZE(variables); i++) {
		name = strlen(variables[i].name);
		if (variables[i].least <= purpose &&
		    strncmp(variable, variables[i].name, name) == 0 &&
		    (length == name || (length > name && variables[i].name[name - 1] == '_')))
			return true;
	}
	return false;
}

/* The environment for a program. The caller frees the array, not the strings. NULL: no memory. */
static char **environment(enum spawn_for purpose)
{
	size_t count = 0, i;
	char **passed;

	while (environ && environ[count])
		count++;
	passed = calloc(count + 1, sizeof(*passed));
	for (i = 0, count = 0; passed && environ && environ[i]; i++)
		if (is_passed(environ[i], purpose))
			passed[count++] = environ[i];
	return passed;
}

/* Gives the program exactly these descriptors. 0 or a positive errno. */
static int set_descriptors(posix_spawn_file_actions_t *actions, const int *fd, unsigned count)
{
	unsigned i;
	int ret = 0;

	for (i = 0; i < count && ret == 0; i++)
		ret = fd[i] < 0 ? posix_spawn_file_actions_addopen(actions, (int)i, "/dev/null",
								   O_RDWR, 0)
				: posix_spawn_file_actions_adddup2(actions, fd[i], (int)i);
	return ret ? ret : posix_spawn_file_actions_addclosefrom_np(actions, (int)count);
}

int spawn_find(const char *program, char path[PATH_MAX])
{
	const char *at = getenv("PATH");
	size_t length;

	if (strchr(program, '/'))
		return snprintf(path, PATH_MAX, "%s", program) < PATH_MAX ? 0 : -ENAMETOOLONG;
	for (at = at ? at : "/usr/bin:/bin"; *at; at += length + (at[length] == ':')) {
		length = strcspn(at, ":");
		if (at[0] == '/' && length < PATH_MAX &&
		    snprintf(path, PATH_MAX, "%.*s/%s", (int)length, at, program) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int spawn_program(pid_t *pid, enum spawn_for purpose, const char *program, char *const *argv,
		  const int *fd, unsigned count)
{
	char **variable, path[PATH_MAX];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int ret = spawn_find(program, path);

	*pid = 0;
	if (ret < 0)
		return ret;
	variable = environment(purpose);
	if (!variable)
		return -ENOMEM;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	ret = set_descriptors(&actions, fd, count);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETPGROUP);
	if (ret == 0)
		ret = posix_spawn(pid, path, &actions, &attributes, argv, variable);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	free(variable);
	if (ret != 0)
		*pid = 0;
	return -ret;
}

static int self_stderr = STDERR_FILENO;

void spawn_self_silently(void)
{
	self_stderr = -1;
}

int spawn_self(pid_t *pid, const char *program, const char *name, const int *fd, unsigned count)
{
	/* They must lie above the numbers that they get in the child. */
	int child[3 + SPAWN_SELF_FDS] = {-1, -1, self_stderr};
	char argv0[64], *const argv[] = {argv0, NULL};
	unsigned i;
	int ret = 0;

	*pid = 0;
	if (count > SPAWN_SELF_FDS || strlen(name) >= sizeof(argv0))
		return -EINVAL;
	strcpy(argv0, name);
	for (i = 0; i < count; i++)
		child[3 + i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 3 + (int)SPAWN_SELF_FDS);
	for (i = 0; i < count && ret == 0; i++)
		ret = child[3 + i] < 0 ? -EMFILE : 0;
	if (ret == 0)
		ret = spawn_program(pid, SPAWN_SELF, program ? program : "/proc/self/exe", argv,
				    child, 3 + count);
	for (i = 0; i < count; i++)
		fd_close(&child[3 + i]);
	return ret;
}
