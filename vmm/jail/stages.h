/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor gives up, in stages. What it parses afterwards may have been made by a stranger,
 * and once the guest runs the monitor itself counts as hostile (docs/confinement.md).
 */
#ifndef CORDON_JAIL_STAGES_H
#define CORDON_JAIL_STAGES_H

#include "vmm/base/err.h"

/*
 * The first stage: before a snapshot, an image or anything else of a stranger's is parsed, and
 * before the process has a second thread. The launcher (launcher.h), which keeps the user's rights,
 * is forked before.
 *
 * Threads that begin later make only the system calls of their list (vmm/jail/lists.h).
 *
 * 0, or -errno with a message.
 */
int jail_enter_first(struct err *err);

#endif
