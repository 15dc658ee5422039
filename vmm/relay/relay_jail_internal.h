/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the relay's jail: private to the files that make it. */
#ifndef CORDON_RELAY_RELAY_JAIL_INTERNAL_H
#define CORDON_RELAY_RELAY_JAIL_INTERNAL_H

#include "vmm/relay/relay_jail.h"

/*
 * Namespaces and an empty root directory, as far as the host grants them: enum relay_jail. Needs
 * CAP_SYS_ADMIN.
 */
unsigned relay_enter_namespaces(void);

/* Landlock, as far as the kernel has it: enum relay_jail. Needs PR_SET_NO_NEW_PRIVS. */
unsigned relay_landlock(void);

/* The list of system calls. 0, or -errno with a message. */
int relay_filter_calls(struct err *err);

#endif
