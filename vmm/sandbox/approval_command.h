/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command of --on-ask: a program that decides a question in a person's place.
 *
 * sh runs it. It reads the question on stdin, one line of JSON (approval_json.h), and prints one
 * line of JSON (approval_answer.h). An exit status other than 0 is no decision. Nothing waits for
 * the command, and it is killed when its question is over or its answer is too long. The launcher
 * starts it, whose table has the command.
 *
 * Deprecated: it also has the question as arguments: of the network protocol, name ("-": none),
 * address, port ("0": none); of other classes class, operation and object; and last the rule as
 * file:line. A bare word is taken as the answer too, with one warning in the process's life.
 */
#ifndef CORDON_SANDBOX_APPROVAL_COMMAND_H
#define CORDON_SANDBOX_APPROVAL_COMMAND_H

#include <stdint.h>

#include "vmm/base/loop.h"
#include "vmm/jail/launcher.h"
#include "vmm/sandbox/approval_answer.h"

struct approval_command;
struct proposal;

/* Its state is the command (char *), or NULL: then none is started. */
extern const struct launcher_request approval_command_request;

/* Called once, from the loop's thread. */
typedef void approval_command_done(void *arg, uint32_t number,
				   const struct approval_answer *answer);

/*
 * launcher: one with the request above. 0, or -errno with *out NULL. In the loop's thread. What
 * fails later is an answer without a decision.
 */
int approval_command_start(struct approval_command **out, struct loop *loop,
			   struct launcher *launcher, const struct approval *question,
			   approval_command_done *done, void *arg);

/*
 * The same for a proposal. Its answers are those of approval_answer_to_proposal(), and it has no
 * arguments.
 */
int approval_command_propose(struct approval_command **out, struct loop *loop,
			     struct launcher *launcher, const struct proposal *proposal,
			     approval_command_done *done, void *arg);

/* Kills the command if it still runs, and frees it. NULL is harmless; works from inside done(). */
void approval_command_end(struct approval_command *command);

#endif
