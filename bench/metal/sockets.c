/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measurements of sockets. The host's end (host.c) takes the times; what it waits for is the same
 * here as in the process at the other end of a Unix socket pair.
 */
#include "bench/metal/guest.h"

#define PORT_FIRST 2000u /* the guest's */

static uint8_t payload[VSOCK_PACKET] __attribute__((aligned(4096)));
static struct connection stream;
static unsigned streams; /* so far */
static uint8_t acknowledgement = 'k';

static void count(struct connection *connection, const uint8_t *bytes, uint32_t length)
{
	(void)bytes;
	connection->wanted -= length < connection->wanted ? length : connection->wanted;
}

static void echo(struct connection *connection, const uint8_t *bytes, uint32_t length)
{
	count(connection, bytes, length);
	/* A packet of a round trip is small, and the next one comes only after it. */
	if (length <= sizeof(payload)) {
		memcpy(payload, bytes, length);
		vsock_send(connection, payload, length);
	}
}

typedef void data_callback(struct connection *connection, const uint8_t *bytes, uint32_t length);

/* Connects to a port, whose first bytes of those wanted may come at once. NULL: refused. */
static struct connection *open_stream(uint32_t port, data_callback *data, uint64_t wanted)
{
	stream = (struct connection){.data = data, .wanted = wanted};
	return vsock_connect(&stream, PORT_FIRST + streams++, port) ? &stream : NULL;
}

static bool wait_for(struct connection *connection)
{
	while (connection->wanted > 0 && !connection->closed)
		vsock_poll();
	return connection->wanted == 0;
}

/* PORT,CHUNK,BYTES: waits for a byte, sends, waits for a byte. */
bool measure_send(const char *fields, struct text *result)
{
	uint32_t port = (uint32_t)field_number(&fields);
	uint64_t chunk = field_number(&fields), bytes = field_number(&fields), done;
	struct connection *connection = open_stream(port, count, 2);

	if (!connection || chunk == 0 || chunk > sizeof(payload))
		return false;
	while (connection->wanted > 1 && !connection->closed)
		vsock_poll();
	for (done = 0; done < bytes && vsock_send(connection, payload, (uint32_t)chunk);
	     done += chunk)
		;
	text_add_number(result, done);
	wait_for(connection);
	vsock_close(connection);
	return done >= bytes;
}

/* PORT,BYTES: receives, then sends a byte. */
bool measure_receive(const char *fields, struct text *result)
{
	uint32_t port = (uint32_t)field_number(&fields);
	uint64_t bytes = field_number(&fields);
	struct connection *connection = open_stream(port, count, bytes);

	if (!connection || !wait_for(connection))
		return false;
	text_add_number(result, bytes);
	vsock_send(connection, &acknowledgement, 1);
	vsock_close(connection);
	return true;
}

/* PORT,BYTES: returns what it gets. */
bool measure_echo(const char *fields, struct text *result)
{
	uint32_t port = (uint32_t)field_number(&fields);
	uint64_t bytes = field_number(&fields);
	struct connection *connection = open_stream(port, echo, bytes);

	if (!connection || !wait_for(connection))
		return false;
	text_add_number(result, bytes);
	vsock_close(connection);
	return true;
}
