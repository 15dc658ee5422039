/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of net pairs share. */
#ifndef CORDON_TEST_NET_PAIRS_COMMON_H
#define CORDON_TEST_NET_PAIRS_COMMON_H

#include "tests/support/net_card_host.h"

#define SEVERAL	  (ALL_BASIC | F_CTRL | F_MQ)
#define CLASS_MQ  4
#define PAIRS_SET 0
#define OK	  0
#define FRAME_UDP 64

extern unsigned pairs;

struct fake_queue *control(void);
void begin_with(unsigned count);

/* A command of length bytes in so many segments. Returns its reply; 77: none was written. */
int command_in(unsigned segments, uint8_t class, uint8_t cmd, uint16_t value, uint32_t length);

int command(uint8_t class, uint8_t cmd, uint16_t value, uint32_t length);
void use_pairs(unsigned count);

/* A UDP frame between the guest's port and the peer's port 53. */
void make_udp(uint8_t *frame, bool from_guest, uint16_t port);

void receive_udp(uint16_t port);

/* The guest sends of that flow on a pair. */
void send_udp(unsigned pair, uint16_t port);

void give_to(unsigned pair, unsigned count);
unsigned got(unsigned pair);

#endif
