/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs of the host that serve a sandbox. */
#ifndef CORDON_BASE_SPAWN_H
#define CORDON_BASE_SPAWN_H

#include <sys/types.h>

/*
 * Starts a program (found by PATH unless it has a slash) in a process group of its own, with no
 * signal blocked or ignored: those are the monitor's own affair, and a ^C at the terminal is not
 * meant for it. argv is ended by NULL. fd[i] becomes its descriptor i, in this order; -1:
 * /dev/null. What is neither there nor closed on exec it inherits. 0, and *pid is to be waited for;
 * or -errno, and *pid is 0.
 */
int spawn_program(pid_t *pid, const char *program, char *const *argv, const int *fd,
		  unsigned count);

#endif
