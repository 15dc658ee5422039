/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving the value of --rootfs: docs/rootfs.md has the order of lookup. */
#ifndef CORDON_LAUNCH_ROOTFS_H
#define CORDON_LAUNCH_ROOTFS_H

#include <jansson.h>

#include "vmm/base/err.h"
#include "vmm/launch/command_options.h"
#include "vmm/sandbox/root.h"

/*
 * Fills in the configuration, and unpacks an image into the cache if necessary. *settings: how an
 * image's programs are started (image_settings()), or NULL; the caller calls json_decref(). 0 or
 * -errno with a message.
 */
int rootfs_resolve(const char *value, struct root_config *config, json_t **settings,
		   struct err *err);

/* Whether the monitor's file server serves the root file system, not a disk. */
bool rootfs_is_served(const struct root_config *config);

/*
 * Takes environment, working directory and user from an image's settings where the command line
 * does not set them. The options point into settings from then on. 0 or -errno with a message.
 */
int rootfs_apply_settings(const json_t *settings, struct command_options *options, struct err *err);

/* The image's Entrypoint and Cmd, NULL-terminated and malloc()ed; NULL if it has none. */
char **rootfs_command(const json_t *settings);

#endif
