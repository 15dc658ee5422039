/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the network benchmark measures, from a client at a server: in the guest, on the host, or
 * behind a tap device. Any error ends the process with a message.
 */
#ifndef CORDON_BENCH_NET_MEASURES_H
#define CORDON_BENCH_NET_MEASURES_H

/* The servers, and the ports at which each of them listens. */
#define SERVER "93.184.216.34"
#define CHUNK  262144
/*
 * COUNTER counts datagrams, and tells a TCP client how many have come: a 64-bit number. HOLDER
 * keeps all connections open.
 */
enum port { SINK = 5001, SOURCE, ECHO, CLOSER, COUNTER, HOLDER };

enum measure { OUT, IN, DATAGRAMS, ROUND_TRIP, CONNECTIONS, MEASURES };

struct outcome {
	double value; /* as measure_unit[] says */
	double units; /* the total: MB, datagrams, connections or round trips */
};

/* Where measure() connects to: SERVER, unless a program says otherwise. */
extern const char *measure_server;

extern const char *const measure_name[MEASURES];
extern const char *const measure_unit[MEASURES]; /* MB/s, 1/s, us */

/* Takes about so many seconds. */
struct outcome measure(enum measure what, double seconds);

void __attribute__((noreturn)) fail(const char *what);

#endif
