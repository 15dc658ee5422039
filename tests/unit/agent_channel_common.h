/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of agent channel share. */
#ifndef CORDON_TEST_AGENT_CHANNEL_COMMON_H
#define CORDON_TEST_AGENT_CHANNEL_COMMON_H

#include "tests/support/agent_host.h"

#include <sys/socket.h>

#define COMMAND_1 (1u * AGENT_COMMANDS_MAX) /* the number that a channel's first command gets */

/* A transport in memory: what the guest sends, and what it takes. */
struct fake {
	struct host host;
	uint8_t in[3 * AGENT_FRAME_MAX];
	size_t in_length, in_at, read_limit; /* at most read_limit bytes a read, 0: all */
	bool in_end;
	uint8_t *out;
	size_t out_length, out_room;
	int write_error;
	unsigned closed;
};

void fake_attach(struct fake *fake);
struct fake *fake_create(void);
void fake_destroy(struct fake *fake);

void put(struct fake *fake, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
	 uint32_t length);
void put32(struct fake *fake, uint16_t type, uint32_t id, uint32_t value);
void put_hello(struct fake *fake, uint16_t major, uint16_t minor);
void start(struct fake *fake, struct run *run);

/* A channel whose agent has announced these features. */
struct fake *with_features(uint32_t features);

/* A channel whose agent has greeted and that has one command. */
struct fake *with_command(struct run *run);

/* What a guest may send in the life of one command, in order. */
void put_life(struct fake *fake);

#endif
