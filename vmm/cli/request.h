/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that are one request to each sandbox that is named. */
#ifndef CORDON_CLI_REQUEST_H
#define CORDON_CLI_REQUEST_H

#include "vmm/cli/verb.h"
#include "vmm/control/client.h"
#include "vmm/launch/command_options.h"

/* Time limit for replies that a monitor can send at once. */
#define PATIENCE_MS 3000

/* Warns of what the guest may have left in shares that would make git on the host run programs. */
void request_print_planted(const struct message *reply);

/*
 * The request `exec` of a command, which the caller may add to; verb: for messages. NULL with a
 * message, as of an argument that is not UTF-8.
 */
json_t *request_exec(const char *verb, const struct command_options *command, char *const *argv,
		     struct err *err);

/* Sends the request, which is consumed, to a sandbox. 0 or -errno with a message. */
int request_send(const char *name, json_t *request, struct err *err);

/*
 * Ends a sandbox at once; a monitor that does not reply is killed. 0; -ESRCH if no such sandbox
 * runs; or another -errno; with a message.
 */
int request_kill(const char *name, struct err *err);

/* What a verb does with each sandbox: 0 or -errno with a message. */
typedef int (*request_each_fn)(const char *name, void *arg, struct err *err);

/*
 * Calls each for all names, and goes on after a failure, which is printed. Returns 0, or
 * EXIT_CORDON if one of them failed.
 */
int request_each(char *const *names, int count, request_each_fn each, void *arg);

/* The same for all sandboxes that run. Or -errno with a message. */
int request_each_running(request_each_fn each, void *arg, struct err *err);

/*
 * Parses the arguments of a verb that takes names, or the flag *all. Returns the number of names,
 * which are argv[1] and up; OPTIONS_HELP; or -EINVAL with a message.
 */
int request_names(const struct verb *verb, const struct option_set *set, int argc, char **argv,
		  const bool *all, struct err *err);

/* A verb without options that takes one or more names. */
int request_verb(const struct verb *verb, int argc, char **argv, request_each_fn each,
		 struct err *err);

#endif
