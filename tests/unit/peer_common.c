/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/peer_common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/agent_real.h"

static void read_full(int fd, void *to, size_t length)
{
	ck_assert_int_eq(recv(fd, to, length, MSG_WAITALL), length);
}

struct agent_header next_frame(struct peer *peer, uint8_t *payload)
{
	uint8_t bytes[AGENT_HEADER_SIZE];
	struct agent_header header;

	read_full(peer->fd, bytes, sizeof(bytes));
	header = agent_get_header(bytes);
	ck_assert_uint_le(header.length, AGENT_PAYLOAD_MAX);
	if (header.length)
		read_full(peer->fd, payload, header.length);
	return header;
}

size_t put_frame(uint8_t *to, uint16_t type, uint16_t flags, uint32_t id, const void *payload,
		 uint32_t length)
{
	agent_put_header(to, type, flags, id, length);
	if (length)
		memcpy(to + AGENT_HEADER_SIZE, payload, length);
	return AGENT_HEADER_SIZE + length;
}

size_t put_welcome(uint8_t *to, uint16_t major, uint16_t minor)
{
	uint8_t payload[AGENT_HELLO_SIZE + 4] = {0};

	agent_put32(payload + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(payload + AGENT_HELLO_AT_MAJOR, major);
	agent_put16(payload + AGENT_HELLO_AT_MINOR, minor);
	memcpy(payload + AGENT_HELLO_SIZE, "test", 4);
	return put_frame(to, AGENT_WELCOME, 0, 0, payload, sizeof(payload));
}

size_t put_start(uint8_t *to, uint32_t id, const char *script)
{
	uint8_t payload[1024] = {0};
	int n;

	agent_put32(payload + AGENT_START_AT_ARGUMENTS, 3);
	n = snprintf((char *)payload + AGENT_START_SIZE, 900, "%c/tmp%csh%c-c%c%s", 0, 0, 0, 0,
		     script);
	return put_frame(to, AGENT_START, 0, id, payload, AGENT_START_SIZE + (uint32_t)n + 1);
}

void send_all(struct peer *peer, const uint8_t *bytes, size_t length)
{
	ck_assert_int_eq(send(peer->fd, bytes, length, MSG_NOSIGNAL), length);
}

void peer_create(struct peer *peer)
{
	uint8_t payload[AGENT_PAYLOAD_MAX];
	struct agent_header header;

	peer->agent = agent_spawn(&peer->fd);
	header = next_frame(peer, payload);
	ck_assert_uint_eq(header.type, AGENT_HELLO);
	ck_assert_uint_eq(header.id, 0);
	ck_assert_uint_ge(header.length, AGENT_HELLO_SIZE);
	ck_assert_uint_eq(agent_get32(payload + AGENT_HELLO_AT_MAGIC), AGENT_MAGIC);
	ck_assert_uint_eq(agent_get16(payload + AGENT_HELLO_AT_MAJOR), AGENT_VERSION_MAJOR);
}

void expect_end(struct peer *peer)
{
	uint8_t byte;
	ssize_t n = recv(peer->fd, &byte, 1, 0);

	ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
	close(peer->fd);
	agent_wait(peer->agent);
}

void expect_alive(struct peer *peer, uint32_t number)
{
	uint8_t bytes[64], payload[AGENT_PAYLOAD_MAX];
	struct agent_header header;

	send_all(peer, bytes, put_frame(bytes, AGENT_PING, 0, number, NULL, 0));
	header = next_frame(peer, payload);
	ck_assert_uint_eq(header.type, AGENT_RESULT);
	ck_assert_uint_eq(header.id, number);
	ck_assert_uint_eq(agent_get32(payload), 0);
}
