/* SPDX-License-Identifier: Apache-2.0 */
/* A monitor of the tests' own, byte by byte, and a real agent that it talks to. */
#ifndef CORDON_TEST_PEER_COMMON_H
#define CORDON_TEST_PEER_COMMON_H

#include <sys/types.h>

#include "vmm/agent/wire.h"

struct peer {
	int fd;
	pid_t agent;
};

/* Starts an agent and takes its HELLO. */
void peer_create(struct peer *peer);
/* The next frame; payload has room for AGENT_PAYLOAD_MAX. */
struct agent_header next_frame(struct peer *peer, uint8_t *payload);
void send_all(struct peer *peer, const uint8_t *bytes, size_t length);
/* The agent has given the connection up: nothing more but an end comes. */
void expect_end(struct peer *peer);
/* It replies to a PING with this number. */
void expect_alive(struct peer *peer, uint32_t number);

/* Frames; they return their length. */
size_t put_frame(uint8_t *to, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
		 uint32_t length);
size_t put_welcome(uint8_t *to, uint16_t major, uint16_t minor);
/* A START of a shell with a script. */
size_t put_start(uint8_t *to, uint32_t id, const char *script);

#endif
