/* SPDX-License-Identifier: Apache-2.0 */
/* Exit statuses of cordon, the same as those of env(1), timeout(1) and shells. */
#ifndef CORDON_LAUNCH_EXIT_STATUS_H
#define CORDON_LAUNCH_EXIT_STATUS_H

/* Exit statuses that are not the command's own. */
#define EXIT_TIMEOUT	  124
#define EXIT_CORDON	  125 /* Cordon itself failed, or was called wrongly */
#define EXIT_NOT_RUNNABLE 126
#define EXIT_NOT_FOUND	  127
#define EXIT_SIGNAL_BASE  128

#endif
