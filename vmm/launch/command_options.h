/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say how a command runs: those that run and exec share. */
#ifndef CORDON_LAUNCH_COMMAND_OPTIONS_H
#define CORDON_LAUNCH_COMMAND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/launch/options.h"

#define COMMAND_ENV_MAX 256

struct command_options {
	const char *workdir, *user;
	const char *env[COMMAND_ENV_MAX + 1]; /* NAME=VALUE, ended by NULL */
	unsigned env_count;
	uint64_t timeout_ns; /* 0: none */
	bool terminal, interactive, no_stdin;
};

/* Their values go into a struct command_options. */
extern const struct option_table command_option_table;

/* Checks them once all are parsed. verb: for the message. 0 or -EINVAL. */
int command_options_check(const char *verb, const struct command_options *options, struct err *err);

/* With --no-stdin: /dev/null becomes standard input. 0 or -errno with a message. */
int command_options_stdin(const struct command_options *options, struct err *err);

#endif
