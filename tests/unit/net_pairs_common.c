/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net_pairs_common.h"

#define RX_OF(n)  (&card_guest.queue[2 * (n)])
#define TX_OF(n)  (&card_guest.queue[2 * (n) + 1])
#define GUEST_IP  0xc0000202u
#define PEER_IP	  0x01020304u
#define AT_SOURCE 26
#define AT_TARGET 30
#define AT_PORTS  34

unsigned pairs;

struct fake_queue *control(void)
{
	return &card_guest.queue[2 * pairs];
}

void begin_with(unsigned count)
{
	pairs = count;
	card_create(count);
	ck_assert(fake_guest_bring_up(&card_guest, SEVERAL));
}

int command_in(unsigned segments, uint8_t class, uint8_t cmd, uint16_t value, uint32_t length)
{
	uint64_t at = fake_guest_alloc(&card_guest, 16, 16);
	struct fake_segment segment[5];
	uint8_t *bytes = fake_guest_at(&card_guest, at);
	uint32_t head, written;
	unsigned i;

	bytes[0] = class;
	bytes[1] = cmd;
	store_le16(bytes + 2, value);
	bytes[8] = 77;
	for (i = 0; i < segments; i++)
		segment[i] =
			(struct fake_segment){at + i, i + 1 < segments ? 1 : length - i, false};
	segment[segments] = (struct fake_segment){at + 8, 1, true};
	fake_queue_add(control(), segment, segments + 1);
	fake_queue_kick(control());
	ck_assert(fake_queue_take_used(control(), &head, &written));
	ck_assert_uint_eq(written, 1);
	return bytes[8];
}

int command(uint8_t class, uint8_t cmd, uint16_t value, uint32_t length)
{
	return command_in(1, class, cmd, value, length);
}

void use_pairs(unsigned count)
{
	ck_assert_int_eq(command(CLASS_MQ, PAIRS_SET, (uint16_t)count, 4), OK);
	ck_assert_uint_eq(card_stats().pairs, count);
}

void make_udp(uint8_t *frame, bool from_guest, uint16_t port)
{
	memset(frame, 0, FRAME_UDP);
	frame[12] = 8;
	frame[14] = 0x45;
	frame[23] = 17;
	store_be32(frame + AT_SOURCE, from_guest ? GUEST_IP : PEER_IP);
	store_be32(frame + AT_TARGET, from_guest ? PEER_IP : GUEST_IP);
	store_be16(frame + AT_PORTS, from_guest ? port : 53);
	store_be16(frame + AT_PORTS + 2, from_guest ? 53 : port);
}

void receive_udp(uint16_t port)
{
	uint8_t frame[FRAME_UDP];

	make_udp(frame, false, port);
	net_card_receive(card, frame, sizeof(frame), NULL);
}

void send_udp(unsigned pair, uint16_t port)
{
	uint64_t at = fake_guest_alloc(&card_guest, HEADER + FRAME_UDP, 16);
	uint8_t *bytes = fake_guest_at(&card_guest, at);
	unsigned before = sent;

	memset(bytes, 0, HEADER);
	make_udp(bytes + HEADER, true, port);
	fake_queue_add_one(TX_OF(pair), at, HEADER + FRAME_UDP, false);
	fake_queue_kick(TX_OF(pair));
	ck_assert_uint_eq(sent, before + 1);
}

void give_to(unsigned pair, unsigned count)
{
	uint64_t at =
		fake_guest_alloc(&card_guest, 4096, 16); /* one buffer for all: it is never read */

	for (; count > 0; count--)
		fake_queue_add_one(RX_OF(pair), at, 4096, true);
	fake_queue_kick(RX_OF(pair));
}

unsigned got(unsigned pair)
{
	return fake_queue_used_index(RX_OF(pair));
}
