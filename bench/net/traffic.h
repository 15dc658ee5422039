/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for the measurement of the network: servers in a network namespace of their own behind
 * the link out0, and clients in another one behind a tap device. All end with this process. What
 * goes wrong ends it with a line.
 */
#ifndef CORDON_BENCH_TRAFFIC_H
#define CORDON_BENCH_TRAFFIC_H

enum measure { OUT, IN, DATAGRAMS, ROUND_TRIP, CONNECTIONS, MEASURES };

extern double traffic_seconds; /* how long each measurement takes */

/* Starts the servers; out1, the other end of out0, goes to their namespace. */
void traffic_serve(void);

/* Starts the clients. Their tap device is *tap_fd; returns where to tell them what to measure. */
int traffic_guest(int *tap_fd);

struct outcome {
	double rate;  /* bytes, datagrams that arrived or connections a second; seconds a round trip
		       */
	double units; /* how many of these: MB, datagrams, connections, round trips */
};

struct outcome traffic_measure(int command_fd, enum measure what);

void __attribute__((noreturn)) fail(const char *what);

#endif
