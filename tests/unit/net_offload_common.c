/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net_offload_common.h"

const struct header_case headers[] = {
	{{0}, true, {0}},
	{{1, 0, 0, 0, 34, 16}, true, {1, 0, 0, 0, 34, 16}},
	/* The checksum in the last bytes of the frame, and one further. */
	{{1, 0, 0, 0, 34, LENGTH - 36}, true, {1, 0, 0, 0, 34, LENGTH - 36}},
	{{1, 0, 0, 0, 34, LENGTH - 35}, false, {0}},
	{{1, 0, 0, 0, LENGTH - 2, 0}, true, {1, 0, 0, 0, LENGTH - 2, 0}},
	{{1, 0, 0, 0, LENGTH - 1, 0}, false, {0}},
	{{1, 0, 0, 0, UINT16_MAX, 0}, false, {0}},
	{{1, 0, 0, 0, 0, UINT16_MAX}, false, {0}},
	/* Sums that do not fit into 16 bits. */
	{{1, 0, 0, 0, UINT16_MAX, 1}, false, {0}},
	{{1, 0, 0, 0, 0x8000, 0x8000}, false, {0}},
	{{1, 0, 0, 0, UINT16_MAX, UINT16_MAX}, false, {0}},
	/* Without the flag they say nothing; nor do other flags. */
	{{0, 0, 0, 0, UINT16_MAX, UINT16_MAX}, true, {0}},
	{{2, 0, 0, 0, UINT16_MAX, 0}, true, {0}},
	{{0xfe, 0, 0, 0, 34, 16}, true, {0}},
	{{0xff, 0, 0, 0, 34, 16}, true, {1, 0, 0, 0, 34, 16}},
	/* Segmentation. */
	{{1, TCP4, 54, 1448, 34, 16}, true, {1, TCP4, 54, 1448, 34, 16}},
	{{1, TCP6, 74, 1448, 54, 16}, true, {1, TCP6, 74, 1448, 54, 16}},
	{{1, TCP4, 54, 1448, LENGTH - 1, 0}, false, {0}},
	{{0, TCP4, 54, 1448, 34, 16}, false, {0}},
	{{2, TCP6, 74, 1448, 54, 16}, false, {0}},
	{{1, TCP4, 54, 0, 34, 16}, false, {0}},
	{{1, TCP4, 54, 1, 34, 16}, true, {1, TCP4, 54, 1, 34, 16}},
	{{1, TCP4, 54, UINT16_MAX, 34, 16}, true, {1, TCP4, 54, UINT16_MAX, 34, 16}},
	{{1, TCP6, 74, 0, 54, 16}, false, {0}},
	{{1, TCP4, LENGTH, 1448, 34, 16}, true, {1, TCP4, LENGTH, 1448, 34, 16}},
	{{1, TCP4, LENGTH + 1, 1448, 34, 16}, false, {0}},
	{{1, TCP4, UINT16_MAX, 1448, 34, 16}, false, {0}},
	{{1, TCP4, 0, 1448, 34, 16}, true, {1, TCP4, 0, 1448, 34, 16}},
	/* Without it a size and a length say nothing. */
	{{1, 0, UINT16_MAX, UINT16_MAX, 34, 16}, true, {1, 0, 0, 0, 34, 16}},
	/* Types that are not offered: UDP's (UFO, USO), with ECN, and none at all. */
	{{1, 2, 54, 1448, 34, 16}, false, {0}},
	{{1, 3, 42, 1448, 34, 6}, false, {0}},
	{{1, 5, 42, 1448, 34, 6}, false, {0}},
	{{1, 6, 54, 1448, 34, 16}, false, {0}},
	{{1, 0x80, 54, 1448, 34, 16}, false, {0}},
	{{1, 0x80 | TCP4, 54, 1448, 34, 16}, false, {0}},
	{{1, 0x80 | TCP6, 74, 1448, 54, 16}, false, {0}},
	{{1, TCP4 | TCP6, 54, 1448, 34, 16}, false, {0}},
	{{1, UINT8_MAX, 54, 1448, 34, 16}, false, {0}},
};

const size_t header_count = ARRAY_SIZE(headers);

void put_header(uint8_t to[HEADER], const struct fields *fields)
{
	to[0] = fields->flags;
	to[1] = fields->gso;
	store_le16(to + 2, fields->headers);
	store_le16(to + 4, fields->size);
	store_le16(to + 6, fields->start);
	store_le16(to + 8, fields->offset);
	store_le16(to + 10, 0x1234); /* num_buffers: of no meaning in a frame of the guest */
}

struct net_card_offload to_offload(const struct fields *fields)
{
	return (struct net_card_offload){.partial = fields->flags & 1,
					 .start = fields->start,
					 .offset = fields->offset,
					 .gso_type = fields->gso,
					 .gso_size = fields->size,
					 .headers = fields->headers};
}

void offload_begin(uint64_t features)
{
	card_offloads = true;
	card_begin(features);
}

void offload_end(void)
{
	card_end();
	card_offloads = false;
}

void bring_up_again(uint64_t features)
{
	fake_guest_forget(&card_guest);
	ck_assert(fake_guest_bring_up(&card_guest, features));
}

void expect_header(uint64_t at, const struct fields *fields, uint16_t buffers)
{
	const uint8_t *got = fake_guest_at(&card_guest, at);

	ck_assert_uint_eq(got[0], fields->flags);
	ck_assert_uint_eq(got[1], fields->gso);
	ck_assert_uint_eq(load_le16(got + 2), fields->headers);
	ck_assert_uint_eq(load_le16(got + 4), fields->size);
	ck_assert_uint_eq(load_le16(got + 6), fields->start);
	ck_assert_uint_eq(load_le16(got + 8), fields->offset);
	ck_assert_uint_eq(load_le16(got + 10), buffers);
}
