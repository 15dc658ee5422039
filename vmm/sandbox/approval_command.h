/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command of --on-ask: a program of the user's that decides a question instead of a person.
 *
 * It is run by sh with five more arguments: protocol, name ("-": none), address, port ("0": none),
 * and the rule as file:line. The first word that it prints is the decision; nothing, an unknown
 * word or a status other than 0 is none. It runs beside everything else and is killed when its
 * question is over.
 */
#ifndef CORDON_SANDBOX_APPROVAL_COMMAND_H
#define CORDON_SANDBOX_APPROVAL_COMMAND_H

#include <stdint.h>

#include "vmm/base/loop.h"

struct approval;
struct approval_command;

/* word: "" for no answer. From the loop's thread, once. */
typedef void approval_command_done(void *arg, uint32_t number, const char *word);

/* 0 or -errno; *out is NULL then. In the loop's thread. */
int approval_command_start(struct approval_command **out, struct loop *loop, const char *command,
			   const struct approval *question, approval_command_done *done, void *arg);

/* Ends it, if it still runs. NULL is harmless; also from inside done(). */
void approval_command_end(struct approval_command *command);

#endif
