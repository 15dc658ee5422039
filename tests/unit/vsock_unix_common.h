/* SPDX-License-Identifier: Apache-2.0 */
/* What the vsock Unix socket tests share. */
#ifndef CORDON_TEST_VSOCK_UNIX_COMMON_H
#define CORDON_TEST_VSOCK_UNIX_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"
#include "vmm/base/budget.h"

#define PORT  1000u
#define GUEST 77u

extern struct fake_vsock fake;
extern struct fake_packet packet;
extern char bytes[512 << 10];

#define EXPECT_OP(wanted)                                    \
	do {                                                 \
		ck_assert(fake_vsock_take(&fake, &packet));  \
		ck_assert_uint_eq(packet.header.op, wanted); \
	} while (0)

#define EXPECT_OP_LATER(wanted)                              \
	do {                                                 \
		ck_assert(fake_vsock_wait(&fake, &packet));  \
		ck_assert_uint_eq(packet.header.op, wanted); \
	} while (0)
#define EXPECT_NOTHING() ck_assert(!fake_vsock_take(&fake, &packet))

void begin(void);
struct sockaddr_un address_of(const char *path);
int client_connect(void);
void client_send(int fd, const void *from, size_t length);
void expect_read(int fd, const void *wanted, size_t length);
void expect_no_bytes(int fd);
void expect_end(int fd);

/* Creates a listener for a port of the host. */
int listen_on(uint32_t port, int backlog);

/* Opens a stream from a guest program; returns the host's end. */
int open_from_guest(uint32_t port);

void finish(int fd);

/* The guest sends as long as it has credit, and the host reads nothing. Returns the bytes sent. */
uint32_t fill_the_host(void);

/* The host reads all of it, and it is what fill_the_host() sent. */
void drain_the_host(int fd, uint32_t sent);

#endif
