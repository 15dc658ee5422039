/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the socket benchmark measures against: one process that serves many streams with epoll. The
 * same code runs in the guest on AF_VSOCK, and on the host on socket pairs, for comparison.
 *
 * When all streams are there the server sends a byte on each; so connecting is not in the
 * measurement. Then a stream begins with a request. SINK: reads `bytes` bytes, then answers one
 * byte. SOURCE: writes `bytes` bytes. ECHO: returns what it reads, until `bytes` bytes.
 */
#ifndef CORDON_BENCH_VSOCK_SERVER_H
#define CORDON_BENCH_VSOCK_SERVER_H

#include <stdint.h>

#define BENCH_PORT    5000
#define BENCH_STREAMS 64

enum bench_kind { BENCH_SINK = 1, BENCH_SOURCE, BENCH_ECHO };

struct bench_request {
	uint32_t kind;
	uint32_t chunk; /* bytes of a read or write */
	uint64_t bytes;
};

/*
 * Serves until the last of streams has ended. listener: accepts streams there, or -1 and fds are
 * the streams. Returns 0 or -errno.
 */
int bench_serve(int listener, const int *fds, unsigned streams);

#endif
