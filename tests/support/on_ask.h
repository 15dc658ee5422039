/* SPDX-License-Identifier: Apache-2.0 */
/* A launcher that starts one command of --on-ask. */
#ifndef CORDON_TEST_ON_ASK_H
#define CORDON_TEST_ON_ASK_H

#include "vmm/jail/launcher.h"

/* command stays the caller's. NULL: no launcher. */
struct launcher *on_ask_launcher(struct loop *loop, const char *command);

/* Waits until no command runs any more. */
void on_ask_wait_ended(const struct launcher *launcher);

#endif
