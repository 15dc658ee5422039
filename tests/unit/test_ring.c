/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/ring.h"

#include <string.h>

#include "tests/support/unit.h"

static void fill(uint8_t *bytes, size_t length, unsigned seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = (uint8_t)(seed + i * 7);
}

START_TEST(nothing_is_allocated_before_the_first_write)
{
	struct ring ring;
	uint8_t byte = 1;

	ring_init(&ring, 100);
	ck_assert_ptr_null(ring.data);
	ck_assert_uint_eq(ring_space(&ring), 128);
	ck_assert_uint_eq(ring_read(&ring, &byte, 1), 0);
	ck_assert_ptr_null(ring.data);
	ck_assert_uint_eq(ring_write(&ring, &byte, 1), 1);
	ck_assert_ptr_nonnull(ring.data);
	ring_release_if_empty(&ring);
	ck_assert_ptr_nonnull(ring.data);
	ck_assert_uint_eq(ring_read(&ring, &byte, 1), 1);
	ring_release_if_empty(&ring);
	ck_assert_ptr_null(ring.data);
	/* and it works again afterwards */
	ck_assert_uint_eq(ring_write(&ring, &byte, 1), 1);
	ring_destroy(&ring);
}
END_TEST

START_TEST(a_full_ring_takes_no_more)
{
	uint8_t in[20], out[20];
	struct ring ring;
	struct iovec iov[2];

	fill(in, sizeof(in), 3);
	ring_init(&ring, 16);
	ck_assert_uint_eq(ring_write(&ring, in, 20), 16);
	ck_assert_uint_eq(ring_write(&ring, in, 1), 0);
	ck_assert_uint_eq(ring_writable(&ring, iov), 0);
	ck_assert_uint_eq(ring_read(&ring, out, 20), 16);
	ck_assert_mem_eq(in, out, 16);
	ck_assert_uint_eq(ring_readable(&ring, iov), 0);
	ring_destroy(&ring);
}
END_TEST

START_TEST(bytes_come_out_in_order_across_the_end)
{
	uint8_t sent[4096], got[4096];
	size_t in = 0, out = 0, step = 1;
	struct ring ring;

	fill(sent, sizeof(sent), 1);
	ring_init(&ring, 64);
	while (out < sizeof(sent)) {
		in += ring_write(&ring, sent + in, min_u64(step % 61, sizeof(sent) - in));
		out += ring_read(&ring, got + out, min_u64(step % 37, sizeof(got) - out));
		ck_assert_uint_eq(ring_used(&ring), in - out);
		step += 13;
	}
	ck_assert_mem_eq(sent, got, sizeof(sent));
	ring_destroy(&ring);
}
END_TEST

START_TEST(iovecs_wrap_and_are_oldest_first)
{
	uint8_t in[16], out[16];
	struct iovec iov[2];
	struct ring ring;

	fill(in, sizeof(in), 9);
	ring_init(&ring, 16);
	ring_write(&ring, in, 12);
	ring_read(&ring, out, 10);
	ck_assert_uint_eq(ring_writable(&ring, iov), 2);
	ck_assert_uint_eq(iov[0].iov_len, 4);
	ck_assert_uint_eq(iov[1].iov_len, 10);
	memcpy(iov[0].iov_base, "abcd", 4);
	memcpy(iov[1].iov_base, "efgh", 4);
	ring_produced(&ring, 8);
	ck_assert_uint_eq(ring_readable(&ring, iov), 2);
	ck_assert_uint_eq(iov[0].iov_len, 6);
	ck_assert_mem_eq((uint8_t *)iov[0].iov_base + 2, "abcd", 4);
	ck_assert_uint_eq(iov[1].iov_len, 4);
	ck_assert_mem_eq(iov[1].iov_base, "efgh", 4);
	ring_consumed(&ring, 7);
	ck_assert_uint_eq(ring_read(&ring, out, 16), 3);
	ck_assert_mem_eq(out, "fgh", 3);
	ring_destroy(&ring);
}
END_TEST

START_TEST(wrong_counts_do_no_harm)
{
	uint8_t in[16] = {1};
	struct ring ring;

	ring_init(&ring, 16);
	ring_write(&ring, in, 8);
	ring_produced(&ring, SIZE_MAX);
	ck_assert_uint_eq(ring_used(&ring), 16);
	ring_consumed(&ring, SIZE_MAX);
	ck_assert_uint_eq(ring_used(&ring), 0);
	ring_write(&ring, in, 8);
	ring_clear(&ring);
	ck_assert_uint_eq(ring_used(&ring), 0);
	ck_assert_uint_eq(ring_space(&ring), 16);
	ring_destroy(&ring);
}
END_TEST

UNIT_MAIN("ring", nothing_is_allocated_before_the_first_write, a_full_ring_takes_no_more,
	  bytes_come_out_in_order_across_the_end, iovecs_wrap_and_are_oldest_first,
	  wrong_counts_do_no_harm)
