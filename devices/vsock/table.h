/* SPDX-License-Identifier: Apache-2.0 */
/* Hash table of streams by their two ports. The guest chooses ports but does not know the hash. */
#ifndef CORDON_VSOCK_TABLE_H
#define CORDON_VSOCK_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define VSOCK_BUCKETS 2048

struct vsock_ports {
	uint32_t host, guest;
	bool listed;
	struct vsock_ports *next;
};

struct vsock_table {
	uint64_t seed;
	uint32_t next_port;
	struct vsock_ports *bucket[VSOCK_BUCKETS];
};

/* 0 or -errno (no random numbers). The table is zeroed memory. */
int vsock_table_init(struct vsock_table *table);

struct vsock_ports *vsock_table_find(const struct vsock_table *table, uint32_t host,
				     uint32_t guest);

/* Adds a pair of ports that is not in the table yet. */
void vsock_table_add(struct vsock_table *table, struct vsock_ports *ports);

/* No effect if the pair is not in the table. */
void vsock_table_remove(struct vsock_table *table, struct vsock_ports *ports);

/* A host port whose pair with the guest port is free. */
uint32_t vsock_table_free_port(struct vsock_table *table, uint32_t guest);

#endif
