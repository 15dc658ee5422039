/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for the network benchmark: servers in a network namespace of their own behind the link
 * out0, and clients in another one behind a tap device. All of them end with this process, which
 * exits with a message on any error.
 */
#ifndef CORDON_BENCH_TRAFFIC_H
#define CORDON_BENCH_TRAFFIC_H

enum measure { OUT, IN, DATAGRAMS, ROUND_TRIP, CONNECTIONS, MEASURES };

extern double traffic_seconds; /* how long each measurement takes */

/* Starts the servers; moves out1, the other end of out0, to their namespace. */
void traffic_serve(void);

/* Starts the clients behind the tap device *tap_fd. Returns the socket that controls them. */
int traffic_guest(int *tap_fd);

struct outcome {
	double rate;  /* bytes, datagrams that arrived or connections a second; seconds a round trip
		       */
	double units; /* the total: MB, datagrams, connections or round trips */
};

struct outcome traffic_measure(int command_fd, enum measure what);

void __attribute__((noreturn)) fail(const char *what);

#endif
