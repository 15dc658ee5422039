/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay's process gives up before it parses the first byte of the guest's or the
 * network's: all but its sockets.
 */
#ifndef CORDON_RELAY_RELAY_JAIL_H
#define CORDON_RELAY_RELAY_JAIL_H

#include "vmm/base/err.h"

/* 0, or -errno with a message. Descriptors above 4 are closed. */
int relay_confine(struct err *err);

#endif
