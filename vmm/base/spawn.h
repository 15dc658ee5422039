/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs of the host that serve a sandbox. */
#ifndef CORDON_BASE_SPAWN_H
#define CORDON_BASE_SPAWN_H

#include <limits.h>
#include <sys/types.h>

/*
 * The environment of a program: of the caller's variables only those that it needs. Whatever else
 * is in there (tokens, keys, LD_PRELOAD) is not the program's.
 */
enum spawn_for {
	SPAWN_TOOL, /* passt, mke2fs: PATH HOME USER LOGNAME LANG LANGUAGE LC_* TZ TMPDIR, and
		     * XDG_RUNTIME_DIR */
	SPAWN_USER, /* a command of the user's (--on-ask): besides them SHELL TERM XDG_*, and what
		     * reaches the user's desktop: DISPLAY WAYLAND_DISPLAY XAUTHORITY
		     * DBUS_SESSION_BUS_ADDRESS */
};

/*
 * A program's file: the name itself if it has a slash, else what PATH has of that name. Only whole
 * paths in PATH count: an empty one or "." is the current directory, where a guest may have put a
 * file of that name. 0; -ENOENT: there is none.
 */
int spawn_find(const char *program, char path[PATH_MAX]);

/*
 * Starts a program, found as above, in a process group of its own, with no signal blocked or
 * ignored: those are the monitor's own affair, and a ^C at the terminal is not meant for it. argv
 * is ended by NULL. fd[i] becomes its descriptor i, in this order; -1: /dev/null. It has no others,
 * whatever the caller has open. 0, and *pid is to be waited for; or -errno, and *pid is 0.
 */
int spawn_program(pid_t *pid, enum spawn_for whose, const char *program, char *const *argv,
		  const int *fd, unsigned count);

#endif
