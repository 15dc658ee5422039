/* SPDX-License-Identifier: Apache-2.0 */
/* The agent channel of a machine, over a stream of its vsock device. */
#ifndef CORDON_MACHINE_AGENT_LINK_H
#define CORDON_MACHINE_AGENT_LINK_H

#include <stdbool.h>

#include "vmm/base/err.h"

struct machine;
struct pack;
struct unpack;

/* Creates machine->channel and listens for the agent's connection. 0 or -errno with a message. */
int agent_link_create(struct machine *machine, struct err *err);

/*
 * For templates: the connection of an idle agent goes on in the restored guest. agent_link_save()
 * also saves the ports of the guest's other connections; it returns false if the agent is not
 * connected or not idle, and what was packed is then of no use. The machine of agent_link_resume()
 * was created with keep_connections and not started. 0 or -errno with a message.
 */
bool agent_link_save(struct machine *machine, struct pack *to);
int agent_link_resume(struct machine *machine, struct unpack *from, struct err *err);

/* Call it before the devices are destroyed. */
void agent_link_destroy(struct machine *machine);

#endif
