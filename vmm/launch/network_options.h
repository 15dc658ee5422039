/* SPDX-License-Identifier: Apache-2.0 */
/* Network options, for every verb that makes a sandbox. */
#ifndef CORDON_LAUNCH_NETWORK_OPTIONS_H
#define CORDON_LAUNCH_NETWORK_OPTIONS_H

#include "vmm/launch/sandbox_options.h"

/* Their values go into a struct sandbox_options. */
extern const struct option_table network_option_table;

/*
 * Decides, once the policy is loaded, which network there is: that of --net, else one if the policy
 * has net rules or a port is published. Checks that published ports are free. 0 or -errno with a
 * message.
 */
int network_apply(struct sandbox_options *options, struct err *err);

#endif
