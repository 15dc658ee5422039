/* SPDX-License-Identifier: Apache-2.0 */
/* The options about a sandbox's network, for every verb that makes one. */
#ifndef CORDON_LAUNCH_NETWORK_OPTIONS_H
#define CORDON_LAUNCH_NETWORK_OPTIONS_H

#include "vmm/launch/sandbox_options.h"

/* Their values go into a struct sandbox_options. */
extern const struct option_table network_option_table;

/*
 * What network there is, once the policy has been read: that of --net; else one if the policy has
 * rules for it, or a port is published. Looks whether published ports can be had.
 */
int network_apply(struct sandbox_options *options, struct err *err);

#endif
