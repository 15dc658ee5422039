/* SPDX-License-Identifier: Apache-2.0 */
/* The VM of a machine and its vCPUs, once the memory exists. */
#ifndef CORDON_MACHINE_PROCESSORS_H
#define CORDON_MACHINE_PROCESSORS_H

#include "vmm/base/err.h"
#include "vmm/machine/machine.h"

/*
 * Creates the VM and all vCPUs, and finds out whether the host emulates guest ring 0: from a
 * trusted snapshot, else by a probe. 0 or -errno with a message; machine_destroy() cleans up.
 */
int processors_create(struct machine *machine, struct err *err);

/* Destroys the vCPUs, whose threads have ended. The VM remains. */
void processors_destroy(struct machine *machine);

#endif
