/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the agent channel: the real agent as a process of this machine. */
#ifndef CORDON_TEST_AGENT_REAL_H
#define CORDON_TEST_AGENT_REAL_H

#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "tests/support/unit.h"

/*
 * Serves one connection, whose other end is *fd, and exits with 0. Without namespaces and mounts;
 * all else is what runs in a guest.
 */
pid_t agent_spawn(int *fd);

/* It ends by itself once its connection is gone. */
void agent_wait(pid_t pid);

#endif
