/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's network by way of a relay. The test's program stands for the relay too, under the
 * relay's name: it does what frames of the guest say, and logs what it is told.
 */
#ifndef CORDON_TEST_NETWORK_RELAY_COMMON_H
#define CORDON_TEST_NETWORK_RELAY_COMMON_H

#include "tests/support/audit_log.h"
#include "tests/support/fake_relay.h"
#include "tests/support/net_card_host.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/approvals.h"
#include "vmm/sandbox/network.h"
#include "vmm/sandbox/network_relay.h"

/* --- the relay -------------------------------------------------------------------------------- */

/* What the first byte behind the Ethernet header has the relay do. */
enum order { ECHO = 'e', CHECK = 'c', NAME = 'n', UNCHECK = 'u', EXIT = 'x', VIOLATE = 'v' };

#define BUSY_PORT 9 /* that the relay can't open */

/* What main() returns under the name RELAY_CLIENT_PROGRAM. */
int be_relay(void);

/* --- the sandbox ------------------------------------------------------------------------------ */

extern struct network network;
extern struct guard *guard;
extern struct approvals *questions;
extern unsigned published, reports; /* how often on_published() and on_reported() were called */
extern char failure[256];	    /* what on_published() was told */

/* A policy of the text. */
struct policy *parse(const char *text);

/* Opens the network, with so many published ports from host_port on. */
void begin(unsigned ports, uint16_t host_port);
void end(void);
/* Starts the relay, which takes the policy. */
void start(void);

void on_reported(void *arg);

/* Until the log has a line with the text, and no more than one. */
void wait_for(const char *text);
/* Until it is 1. */
void wait_until(const unsigned *count);

/* A frame of the guest: what the relay is to do, and the port of a CHECK. */
void guest_sends(enum order order, uint8_t port);

#endif
