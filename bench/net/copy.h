/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that any program between two sockets does: accept a connection, connect to the server,
 * copy bytes both ways. Errors end the process with a message.
 */
#ifndef CORDON_BENCH_COPY_H
#define CORDON_BENCH_COPY_H

/* Listens at address (dotted) at each port of the servers, and serves one client after the other.
 */
void __attribute__((noreturn)) copy_serve(const char *address, int ready_fd);

#endif
