/* SPDX-License-Identifier: Apache-2.0 */
/* The host of a relay for tests of datagrams and published ports: its network, and peers in it. */
#ifndef CORDON_TEST_RELAY_PEERS_COMMON_H
#define CORDON_TEST_RELAY_PEERS_COMMON_H

#include "tests/unit/relay_exchange_common.h"

/* A network of its own for this process, with a loopback alone. False: the host forbids that. */
bool host_own_network(void);
bool host_has_ipv6(void);
/* Prints that a test is left out. */
void host_skip(const char *test, const char *why);

/* A socket of the loopback, bound and with a time-out for reading. */
int peer_open(unsigned family, int type, uint16_t *port);
/* Reads a datagram that is expected; returns its length, and the sender's port. */
size_t peer_reads(int fd, void *to, size_t size, uint16_t *from);
void peer_reads_text(int fd, const char *text, uint16_t *from);
void peer_is_silent(int fd);
void peer_sends(int fd, unsigned family, uint16_t port, const void *data, size_t length);

#endif
