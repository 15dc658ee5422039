/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the shell relay: a terminal that a test plays, and clients that come and go. */
#ifndef CORDON_TEST_SHELL_RELAY_COMMON_H
#define CORDON_TEST_SHELL_RELAY_COMMON_H

#include "vmm/control/shell_relay.h"

#include "tests/support/unit.h"
#include "vmm/agent/wire.h"
#include "vmm/base/loop.h"

struct terminal {
	struct loop *loop;
	struct shell_relay relay;
	struct loop_timer last;
	char typed[4096];
	size_t used, room; /* of what is typed, this much fits */
	size_t written, consumed;
	unsigned lefts, ends;
};

void begin(struct terminal *terminal);
void end(struct terminal *terminal);
/* Runs the loop for a while. */
void turn(struct terminal *terminal);
/* Attaches a client; returns its end of the socket, which does not block. */
int attach(struct terminal *terminal, size_t expected);
void print(struct terminal *terminal, const char *text);
/* As much output as the guest may send, length bytes in frames; byte i of all is i modulo 251. */
void print_much(struct terminal *terminal, size_t length);
/* What the client can read now, after letting the relay write; its bytes if `bytes` is not NULL. */
size_t read_all(struct terminal *terminal, int fd, uint8_t *bytes, size_t most);
void expect_text(struct terminal *terminal, int fd, const char *text);
void expect_end(int fd);
void type(int fd, const char *text);
void expect_typed(struct terminal *terminal, const char *text);
/* Output until it has to wait for the client. */
void fill(struct terminal *terminal);

#endif
