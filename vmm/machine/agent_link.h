/* SPDX-License-Identifier: Apache-2.0 */
/* The agent channel of a machine, over a stream of its vsock device. */
#ifndef CORDON_MACHINE_AGENT_LINK_H
#define CORDON_MACHINE_AGENT_LINK_H

#include "vmm/base/err.h"

struct machine;

/* Creates machine->channel and listens for the agent's connection. 0 or -errno with a message. */
int agent_link_create(struct machine *machine, struct err *err);

/* Call it before the devices are destroyed. */
void agent_link_destroy(struct machine *machine);

#endif
