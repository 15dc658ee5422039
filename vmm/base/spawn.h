/* SPDX-License-Identifier: Apache-2.0 */
/* Starts programs on the host that serve a sandbox. */
#ifndef CORDON_BASE_SPAWN_H
#define CORDON_BASE_SPAWN_H

#include <limits.h>
#include <sys/types.h>

/*
 * What a program is for, which decides which of the caller's environment variables it gets: only
 * those that it needs, so no tokens, keys or LD_PRELOAD.
 */
enum spawn_for {
	SPAWN_SELF, /* a process of Cordon's own: none */
	SPAWN_TOOL, /* mke2fs: PATH HOME USER LOGNAME LANG LANGUAGE LC_* TZ TMPDIR, and
		     * XDG_RUNTIME_DIR */
	SPAWN_USER, /* a command of the user's (--on-ask): those, SHELL TERM XDG_*, and what gives
		     * access to the desktop: DISPLAY WAYLAND_DISPLAY XAUTHORITY
		     * DBUS_SESSION_BUS_ADDRESS */
};

/*
 * Finds a program's file: program itself if it contains a slash, otherwise by a search of PATH.
 * Only absolute directories in PATH count: an empty entry or "." is the current directory, where a
 * guest may have put a file of that name. 0; -ENOENT if there is none; -ENAMETOOLONG.
 */
int spawn_find(const char *program, char path[PATH_MAX]);

/*
 * Starts a program, found as above, with default signal handling and in a process group of its own:
 * the monitor's signal mask does not concern it, and a ^C at the terminal must not reach it. argv
 * ends with NULL. fd[i] becomes descriptor i of the program, for i in ascending order; -1 stands
 * for /dev/null. It inherits no other descriptor. 0, and the caller must wait for *pid; or -errno,
 * and *pid is 0.
 */
int spawn_program(pid_t *pid, enum spawn_for purpose, const char *program, char *const *argv,
		  const int *fd, unsigned count);

/*
 * Starts this program again as a process of Cordon's own, which knows by its argv[0], name, what it
 * is. program: another one's path, for tests; NULL: this one. Its stdin and stdout are /dev/null,
 * stderr is the caller's (but see spawn_self_silently()), and fd[i] becomes descriptor 3 + i, for
 * at most SPAWN_SELF_FDS. 0 or -errno, as above.
 */
#define SPAWN_SELF_FDS 4u
int spawn_self(pid_t *pid, const char *program, const char *name, const int *fd, unsigned count);

/*
 * From now on, what spawn_self() starts has /dev/null as stderr. For a monitor that outlives the
 * command that has started it: its helpers must not keep that command's stderr, which may be a pipe
 * that another program reads to its end.
 */
void spawn_self_silently(void);

#endif
