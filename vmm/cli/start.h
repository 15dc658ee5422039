/* SPDX-License-Identifier: Apache-2.0 */
/* Starting monitors, for the verbs that do. */
#ifndef CORDON_CLI_START_H
#define CORDON_CLI_START_H

#include "vmm/base/err.h"
#include "vmm/control/monitor.h"

/*
 * Claims config->name, makes the monitor's process and waits until its sandbox is ready. 0 or
 * -errno with a message; nothing is left behind then.
 */
int start_monitor(struct monitor_config *config, struct err *err);

/*
 * A monitor's working directory is not the caller's, so its paths must not depend on that. *path
 * (which may be NULL) then points to absolute, of PATH_MAX bytes, if it was a relative one. 0 or
 * -errno with a message.
 */
int start_absolute(const char **path, char *absolute, struct err *err);

/*
 * What an image says of its programs (settings, or NULL) holds for every `exec`, which may say
 * otherwise. settings must stay. 0 or -errno with a message.
 */
int start_defaults(const json_t *settings, struct monitor_defaults *defaults, struct err *err);

#endif
