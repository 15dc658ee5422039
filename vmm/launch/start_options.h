/* SPDX-License-Identifier: Apache-2.0 */
/* Options of sandboxes that stay; start and restore share them. */
#ifndef CORDON_LAUNCH_START_OPTIONS_H
#define CORDON_LAUNCH_START_OPTIONS_H

#include "vmm/control/monitor.h"
#include "vmm/launch/sandbox_options.h"

struct start_options {
	struct sandbox_options base;
	uint64_t idle_ns, wall_ns;
	bool idle_pauses; /* after idle_ns; else it stops */
	bool once;	  /* it ends with the command of a request that says first */
};

/* --idle and --wall, for a struct start_options. */
extern const struct option_table start_option_table;

/*
 * Starts the monitor of a sandbox that stays. kind: "start" or "restore". 0 or -errno with a
 * message.
 */
int start_sandbox(struct start_options *options, const char *kind, const char *name,
		  struct err *err);

/*
 * Makes a relative path absolute, since a monitor has another working directory: *path (may be
 * NULL) then points to absolute, of PATH_MAX bytes. 0 or -errno with a message.
 */
int start_absolute(const char **path, char *absolute, struct err *err);

/*
 * Takes the defaults of every `exec` from an image's settings (or NULL), which must stay valid. 0
 * or -errno with a message.
 */
int start_defaults(const json_t *settings, struct monitor_defaults *defaults, struct err *err);

#endif
