/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay's end of the sockets, in the test's own process or in one that stands for the relay's: it
 * sends what the test says. fake_relay_put*() and fake_relay_get() make no use of check(3), and
 * abort the process if they fail.
 */
#ifndef CORDON_TEST_FAKE_RELAY_H
#define CORDON_TEST_FAKE_RELAY_H

#include "vmm/relay/client.h"

struct fake_relay {
	int frames, messages; /* -1: closed */
};

/* Attaches a client to a fake relay, with the policy "net ask tcp *:*" unless there is another. */
void fake_relay_attach(struct fake_relay *fake, struct relay_client **client, struct loop *loop,
		       const struct policy *policy, const struct relay_client_ops *ops, void *arg);
void fake_relay_close(struct fake_relay *fake);

/* Sends a message of the relay, or a frame behind a header of zeros. */
void fake_relay_put(const struct fake_relay *fake, uint32_t type, const void *body, size_t length);
void fake_relay_put_frame(const struct fake_relay *fake, const void *frame, size_t length);

/*
 * Takes the next message of the monitor into body (size bytes); *fd: a descriptor that came with
 * it, or -1. Returns its type; 0: there is none. *length: of the body.
 */
uint32_t fake_relay_get(const struct fake_relay *fake, void *body, size_t size, size_t *length,
			int *fd);

/* The same for a message that must be of that type and length, and has no descriptor. */
void fake_relay_expect(const struct fake_relay *fake, uint32_t type, void *body, size_t length);

/* Takes CONFIG and POLICY, and says READY. */
void fake_relay_begin(const struct fake_relay *fake);

/* A request for a verdict: tcp to 93.184.216.34:80. fake_relay_put_check() sends one. */
struct relay_check fake_relay_check(uint32_t ticket);
void fake_relay_put_check(const struct fake_relay *fake, const struct relay_check *check);

/* Runs the loop for some milliseconds: whatever is in the sockets is handled. */
void fake_relay_run(struct loop *loop, unsigned ms);

#endif
