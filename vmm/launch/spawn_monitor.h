/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting monitors. A monitor is a child in a session of its own; the command waits until it says
 * that the sandbox is ready, or why it is not.
 */
#ifndef CORDON_LAUNCH_SPAWN_MONITOR_H
#define CORDON_LAUNCH_SPAWN_MONITOR_H

#include "vmm/base/err.h"
#include "vmm/control/monitor.h"

/*
 * Claims config->name, forks the monitor and waits until its sandbox is ready. 0, or -errno with a
 * message and everything undone.
 */
int spawn_monitor(struct monitor_config *config, struct err *err);

#endif
