/* SPDX-License-Identifier: Apache-2.0 */
/* Automatic receive steering (5.1.6.5.6): which pair a flow's frames belong to. */
#include "devices/net/internal.h"
#include "vmm/base/bytes.h"

#define AT_TYPE	      12
#define TYPE_IPV4     0x0800
#define TYPE_IPV6     0x86dd
#define PROTOCOL_TCP  6
#define PROTOCOL_UDP  17
#define STEERING_BITS 10

_Static_assert(1u << STEERING_BITS == NET_STEERING, "the table's size");

/* Where the fields of a flow are, by the type of the frame. Both addresses are in a row. */
static const struct flow_fields {
	unsigned type, protocol, addresses, address_bytes, ports;
} fields[] = {{TYPE_IPV4, 23, 26, 8, 34}, {TYPE_IPV6, 20, 22, 32, 54}};

/*
 * A hash below NET_STEERING, the same for both directions of a flow; 0 for frames that do not look
 * like IP. (The guest's frame is unchecked: this affects only speed.)
 */
static unsigned hash_of(const uint8_t *frame, size_t length)
{
	const struct flow_fields *field = fields;
	unsigned i;
	uint32_t hash;

	if (length < NET_CARD_FRAME_MIN)
		return 0;
	if (load_be16(frame + AT_TYPE) == TYPE_IPV6)
		field++;
	if (load_be16(frame + AT_TYPE) != field->type || length < field->ports + 4)
		return 0;
	/* A sum is the same for both directions. */
	hash = frame[field->protocol];
	for (i = 0; i < field->address_bytes; i += 4)
		hash += load_be32(frame + field->addresses + i);
	if (frame[field->protocol] == PROTOCOL_TCP || frame[field->protocol] == PROTOCOL_UDP)
		hash += ((uint32_t)load_be16(frame + field->ports) +
			 load_be16(frame + field->ports + 2))
			<< 8;
	return hash * 0x9e3779b1u >> (32 - STEERING_BITS);
}

void net_steer_reset(struct net_card *card)
{
	memset(card->steering, NET_UNSTEERED, sizeof(card->steering));
}

unsigned net_steer_pair(const struct net_card *card, const uint8_t *frame, size_t length)
{
	unsigned hash, pair;

	if (card->pairs_used == 1)
		return 0;
	hash = hash_of(frame, length);
	pair = card->steering[hash];
	/* The guest has sent nothing yet, or on a pair that it has since switched off. */
	if (pair >= card->pairs_used)
		pair = hash % card->pairs_used;
	return virtqueue_active(&card->device.queue[2 * pair]) ? pair : 0;
}

void net_steer_note(struct net_card *card, const uint8_t *frame, size_t length, unsigned pair)
{
	if (card->pairs_used > 1)
		card->steering[hash_of(frame, length)] = (uint8_t)pair;
}
