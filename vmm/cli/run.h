/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cordon run`: one sandbox, one command, its stdio and exit status.
 *
 * run.c has the options, run_session.c what happens while the sandbox lives.
 */
#ifndef CORDON_CLI_RUN_H
#define CORDON_CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/launch/command_options.h"
#include "vmm/launch/sandbox_options.h"
#include "vmm/control/registry.h"

struct run_options {
	struct sandbox_options base;
	struct command_options command;
	const char *name; /* NULL: one is made up */
	const char *entrypoint;
	const char *kind; /* for the record; NULL: "run" */
	bool verbose, outlive_parent, detach, no_effect;
	char *const *argv; /* NULL-ended; NULL: no command, only boot */
};

/*
 * Registers the run like a sandbox that stays, so that other commands reach it, and says how to
 * decide its policy's questions. If a generated name cannot be registered, it only warns, and
 * *lock_fd is -1. 0 or -errno with a message.
 */
int run_claim(const struct run_options *options, char name[SANDBOX_NAME_MAX + 1], int *lock_fd,
	      struct err *err);

/* Warns that rules ask, if nothing is there to decide. */
void run_warn_of_questions(const struct run_options *options, const char *name);

/*
 * The same sandbox in a process of its own, which ends with the command. Prints its name. 0 or
 * -errno with a message.
 */
int run_detached(const struct run_options *options, struct err *err);

/* Boots, runs the command, cleans up. started_ns: when main() began. Returns the exit status. */
int run_session(const struct run_options *options, uint64_t started_ns);

#endif
