/* SPDX-License-Identifier: Apache-2.0 */
/* What a message adds for a user who expects the host's programs in a sandbox. */
#ifndef CORDON_CLI_HINT_H
#define CORDON_CLI_HINT_H

#include <stdbool.h>

/*
 * To follow the message about a command that ended with this status: how to get the program that
 * the sandbox does not have, if the host has it and the root file system is the built-in one. ""
 * otherwise. Valid until the next call.
 */
const char *hint_not_found(const char *program, int status, bool builtin_root);

#endif
