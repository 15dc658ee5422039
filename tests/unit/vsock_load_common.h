/* SPDX-License-Identifier: Apache-2.0 */
/* What the vsock load tests share. */
#ifndef CORDON_TEST_VSOCK_LOAD_COMMON_H
#define CORDON_TEST_VSOCK_LOAD_COMMON_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/fake_vsock.h"
#include "tests/support/unit.h"

#define PORT 1000u /* of the in-process service that accepts all connections */

extern struct fake_vsock fake;
extern struct fake_packet packet;
extern char bytes[256 << 10];
extern struct vsock_stream *accepted[VSOCK_STREAMS_MAX];
extern unsigned accepted_count;

void begin(bool unix_socket);
void finish(void);

/* Takes all waiting packets and gives as many buffers back. Returns the last packet's operation. */
unsigned take_all(void);

void open_streams(unsigned count, uint32_t first_port);

#endif
