/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the shares of a sandbox. */
#ifndef CORDON_SANDBOX_SHARES_INTERNAL_H
#define CORDON_SANDBOX_SHARES_INTERNAL_H

#include "vmm/sandbox/shares.h"

/* Ends the file server. Works on zeros. */
void shares_disconnect(struct shares *shares);

/* The guest's kernel drops what it has cached of files, on the agent's request. */
void shares_drop(struct shares *shares, struct agent_channel *channel);

#endif
