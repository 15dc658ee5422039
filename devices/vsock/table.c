/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock/table.h"

#include <errno.h>
#include <stddef.h>
#include <sys/random.h>

/* Source ports of connections from the host: far from those that programs listen on. */
#define FIRST_PORT (UINT32_C(1) << 30)
#define LAST_PORT  ((UINT32_C(1) << 31) - 1)

int vsock_table_init(struct vsock_table *table)
{
	if (getrandom(&table->seed, sizeof(table->seed), 0) != (ssize_t)sizeof(table->seed))
		return -EIO;
	table->seed |= 1;
	table->next_port = FIRST_PORT;
	return 0;
}

/* Multiplies by a secret odd number and keeps the middle bits, which spreads any set of ports. */
static unsigned bucket_of(const struct vsock_table *table, uint32_t host, uint32_t guest)
{
	uint64_t mixed = ((uint64_t)host << 32 | guest) * table->seed;

	mixed ^= mixed >> 29;
	mixed *= table->seed;
	return (mixed >> 40) % VSOCK_BUCKETS;
}

struct vsock_ports *vsock_table_find(const struct vsock_table *table, uint32_t host, uint32_t guest)
{
	struct vsock_ports *at;

	for (at = table->bucket[bucket_of(table, host, guest)]; at; at = at->next)
		if (at->host == host && at->guest == guest)
			return at;
	return NULL;
}

void vsock_table_add(struct vsock_table *table, struct vsock_ports *ports)
{
	struct vsock_ports **bucket = &table->bucket[bucket_of(table, ports->host, ports->guest)];

	ports->next = *bucket;
	ports->listed = true;
	*bucket = ports;
}

void vsock_table_remove(struct vsock_table *table, struct vsock_ports *ports)
{
	struct vsock_ports **at;

	if (!ports->listed)
		return;
	for (at = &table->bucket[bucket_of(table, ports->host, ports->guest)]; *at;
	     at = &(*at)->next) {
		if (*at != ports)
			continue;
		*at = ports->next;
		break;
	}
	ports->listed = false;
	ports->next = NULL;
}

uint32_t vsock_table_free_port(struct vsock_table *table, uint32_t guest)
{
	uint32_t port;

	/* There are 2^30 ports and a few thousand streams: this ends soon. */
	do {
		port = table->next_port;
		table->next_port = port == LAST_PORT ? FIRST_PORT : port + 1;
	} while (vsock_table_find(table, port, guest));
	return port;
}
