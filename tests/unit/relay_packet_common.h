/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the guest to a peer, which are broken in one place and read. */
#ifndef CORDON_TEST_RELAY_PACKET_COMMON_H
#define CORDON_TEST_RELAY_PACKET_COMMON_H

#include "tests/support/relay_frames.h"
#include "tests/support/unit.h"

#define PACKET_FAMILIES 2

extern const unsigned families[PACKET_FAMILIES];
extern uint8_t bytes[PACKET_FRAME_MAX + 64];
extern struct packet packet;

/* Reads the first bytes as a frame with whole checksums, into `packet`. */
enum packet_verdict parse(size_t length);

/* Where the message begins behind an IP header without options. */
size_t up(unsigned family);

/* Writes a good frame; returns its length. */
size_t tcp(unsigned family);
size_t udp(unsigned family);

#endif
