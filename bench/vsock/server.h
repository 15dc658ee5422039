/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of the vsock benchmark: one process that serves many streams with epoll. The same code
 * runs in the guest on AF_VSOCK, and on the host on socket pairs, for comparison.
 *
 * Once all streams are connected the server sends a byte on each, so that the measurement excludes
 * connecting. Each stream then starts with a request. SINK: reads `bytes` bytes, then replies with
 * one byte. SOURCE: writes `bytes` bytes. ECHO: returns what it reads, up to `bytes` bytes.
 */
#ifndef CORDON_BENCH_VSOCK_SERVER_H
#define CORDON_BENCH_VSOCK_SERVER_H

#include <stdint.h>

#define BENCH_PORT    5000
#define BENCH_STREAMS 64

enum bench_kind { BENCH_SINK = 1, BENCH_SOURCE, BENCH_ECHO };

struct bench_request {
	uint32_t kind;
	uint32_t chunk; /* bytes of each read or write */
	uint64_t bytes;
};

/*
 * Serves until the last stream has ended. Accepts the streams from listener; if that is -1, fds are
 * the streams. Returns 0 or -errno.
 */
int bench_serve(int listener, const int *fds, unsigned streams);

#endif
