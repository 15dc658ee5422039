/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the monitor's end of a relay share: a client, and what it told its owner. */
#ifndef CORDON_TEST_RELAY_CLIENT_COMMON_H
#define CORDON_TEST_RELAY_CLIENT_COMMON_H

#include <string.h>

#include "tests/support/fake_relay.h"
#include "tests/support/unit.h"
#include "vmm/base/loop.h"

/* Calls of the ops, and the arguments of the last ones. */
struct told {
	unsigned frames, drained, checks, unchecks, notes, published, reported, died;
	uint8_t header[RELAY_CLIENT_HEADER];
	size_t length; /* of the frame */
	uint8_t frame[PACKET_FRAME_MAX];
	struct relay_check check;
	uint32_t ticket;
	char what[32], object[RELAY_NOTE_TEXT], detail[RELAY_NOTE_TEXT];
	struct relay_publish which;
	int error;
	char why[128];
	bool no_room; /* what ops->room() says */
};

extern struct told told;
extern struct loop *loop;
extern struct relay_client *client;
extern struct fake_relay fake;

/* Without READY; ready(): with it. */
void begin(void);
void begin_ready(void);
void end(void);

/* Handles what is in the sockets. */
void run(void);

/* The relay was killed for the last message, and the owner knows. */
void expect_violation(void);

/* Messages of the relay: an event, and how many flows there are. */
void put_note(const char *what, const char *object);
void put_total(uint32_t flows);

extern const struct relay_client_ops told_ops;

#endif
