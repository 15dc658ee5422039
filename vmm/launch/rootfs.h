/* SPDX-License-Identifier: Apache-2.0 */
/* What --rootfs names: docs/rootfs.md has the order in which it is looked for. */
#ifndef CORDON_LAUNCH_ROOTFS_H
#define CORDON_LAUNCH_ROOTFS_H

#include <jansson.h>

#include "vmm/base/err.h"
#include "vmm/launch/command_options.h"
#include "vmm/sandbox/root.h"

/*
 * Fills in the configuration; an image that is not unpacked yet is unpacked into the cache.
 * *settings: how an image's programs are started (image_settings()), or NULL; json_decref() is the
 * caller's. 0 or -errno with a message.
 */
int rootfs_resolve(const char *value, struct root_config *config, json_t **settings,
		   struct err *err);

/* Whether the monitor's file server has it, not a disk. */
bool rootfs_is_served(const struct root_config *config);

/*
 * What an image says of how programs are started, where the command line says nothing. The options
 * point into settings from then on. 0 or -errno with a message.
 */
int rootfs_apply_settings(const json_t *settings, struct command_options *options, struct err *err);

/* Entrypoint and Cmd, NULL-ended and malloc()ed; NULL: the image has none. */
char **rootfs_command(const json_t *settings);

#endif
