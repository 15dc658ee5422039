/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of agent share. */
#ifndef CORDON_TEST_AGENT_COMMON_H
#define CORDON_TEST_AGENT_COMMON_H

#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/agent_host.h"
#include "tests/support/agent_real.h"

struct pair {
	struct host host;
	pid_t agent;
};

void pair_create(struct pair *pair);
void pair_destroy(struct pair *pair);
bool ended(const struct run *run);
void shell_start(struct pair *pair, struct run *run, const char *script);
void shell(struct pair *pair, struct run *run, const char *script);
void ping(struct host *host);

#endif
