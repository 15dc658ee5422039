/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit statuses that are not a command's own, the same as those of env(1), timeout(1) and shells:
 * of commands in a sandbox, in the agent's FAILED frames, and of cordon itself.
 */
#ifndef CORDON_BASE_EXIT_STATUS_H
#define CORDON_BASE_EXIT_STATUS_H

#define EXIT_TIMEOUT	  124
#define EXIT_CORDON	  125 /* Cordon or the guest failed, or Cordon was called wrongly */
#define EXIT_NOT_RUNNABLE 126
#define EXIT_NOT_FOUND	  127
#define EXIT_SIGNAL_BASE  128 /* and the number of the signal that ended the command */

/* The status of a command that ended with code, or by signal if that is not 0. */
static inline int exit_status(int code, int signal)
{
	return signal ? EXIT_SIGNAL_BASE + signal : code;
}

#endif
