/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the shares of a sandbox. */
#ifndef CORDON_SANDBOX_SHARES_INTERNAL_H
#define CORDON_SANDBOX_SHARES_INTERNAL_H

#include "vmm/sandbox/shares.h"

/* Ends the file server. Works on zeros. */
void shares_disconnect(struct shares *shares);

#endif
