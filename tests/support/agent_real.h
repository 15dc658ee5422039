/* SPDX-License-Identifier: Apache-2.0 */
/* For the agent channel's tests: the real agent as a process of the host. */
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
 * Starts an agent that serves one connection, whose other end is *fd, and exits with 0. Except for
 * namespaces and mounts it does all that it does in a guest.
 */
pid_t agent_spawn(int *fd);

/* Waits for the agent, which exits once its connection is gone. */
void agent_wait(pid_t pid);

#endif
