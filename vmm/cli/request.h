/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that are one request to one sandbox. */
#ifndef CORDON_CLI_REQUEST_H
#define CORDON_CLI_REQUEST_H

#include "vmm/cli/verb.h"
#include "vmm/control/client.h"

/* Time limit for replies that a monitor can send at once. */
#define PATIENCE_MS 3000

/* Checks that the only argument is a name. 0 or -EINVAL with a message. */
int request_one_name(const struct verb *verb, int argc, char **argv, struct err *err);

/* Warns of what the guest may have left in shares that would make git on the host run programs. */
void request_print_planted(const struct message *reply);

/*
 * Sends the request (which is consumed) to the sandbox that the only argument names. 0 or -errno
 * with a message.
 */
int request_simple(const struct verb *verb, int argc, char **argv, json_t *request,
		   struct err *err);

#endif
