/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-mmio transport, with a device that only records its calls. */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"
#include "tests/unit/mmio_common.h"

/* --- plain registers -------------------------------------------------------------------------- */

START_TEST(a_device_identifies_itself)
{
	begin();
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_MAGIC), 0x74726976);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_VERSION), 2);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_ID), 42);
	ck_assert_uint_eq(fake_status(&guest), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 0);
	end();
}
END_TEST

START_TEST(registers_have_one_width)
{
	uint64_t offset;
	unsigned size;

	begin();
	for (offset = 0; offset < FAKE_REG_CONFIG; offset++)
		for (size = 1; size <= 8; size *= 2) {
			if (size == 4 && offset % 4 == 0)
				continue;
			ck_assert_uint_eq(fake_read_size(&guest, offset, size), 0);
			fake_write_size(&guest, offset, size, UINT64_MAX);
			fake_write_size(&guest, offset, size, ACK);
		}
	ck_assert_uint_eq(fake_status(&guest), 0);
	fake_write_size(&guest, FAKE_REG_STATUS, 4, ACK);
	ck_assert_uint_eq(fake_status(&guest), ACK);
	end();
}
END_TEST

START_TEST(read_only_and_unknown_registers_ignore_writes)
{
	static const uint64_t writable[] = {0x014, 0x020, 0x024, 0x030, 0x038, 0x044, 0x050, 0x064,
					    0x070, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4};
	uint32_t before[FAKE_REG_CONFIG / 4], offset;
	size_t i;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	for (offset = 0; offset < FAKE_REG_CONFIG; offset += 4)
		before[offset / 4] = fake_read(&guest, offset);
	for (offset = 0; offset < FAKE_REG_CONFIG; offset += 4) {
		for (i = 0; i < ARRAY_SIZE(writable); i++)
			if (writable[i] == offset)
				break;
		if (i == ARRAY_SIZE(writable))
			fake_write(&guest, offset, 0x5a5a5a5a);
	}
	for (offset = 0; offset < FAKE_REG_CONFIG; offset += 4)
		ck_assert_uint_eq(fake_read(&guest, offset), before[offset / 4]);
	end();
}
END_TEST

START_TEST(write_only_registers_read_as_zero)
{
	static const uint64_t only[] = {0x014, 0x020, 0x024, 0x030, 0x038, 0x050, 0x064,
					0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4, 0x0ac};
	size_t i;

	begin();
	ck_assert(fake_guest_negotiate(&guest, 0));
	for (i = 0; i < ARRAY_SIZE(only); i++) {
		fake_write(&guest, only[i], 1);
		ck_assert_uint_eq(fake_read(&guest, only[i]), 0);
	}
	end();
}
END_TEST

START_TEST(there_is_no_shared_memory_and_no_queue_reset)
{
	uint32_t i;

	begin();
	for (i = 0; i < 16; i += 4) {
		fake_write(&guest, 0x0ac, i);
		ck_assert_uint_eq(fake_read(&guest, FAKE_REG_SHM_LEN + i), UINT32_MAX);
	}
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_write(&guest, FAKE_REG_QUEUE_SEL, 0);
	fake_write(&guest, FAKE_REG_QUEUE_RESET, 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_RESET), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), 1);
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 1);
	end();
}
END_TEST

/* --- features --------------------------------------------------------------------------------- */

START_TEST(features_are_offered_in_two_halves)
{
	begin();
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES),
			  1u << 3 | 1u << 28 | 1u << 29);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 1);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES), 1u << 8 | 1u << 0);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 2);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES), 0);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, UINT32_MAX);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES), 0);
	end();
}
END_TEST

START_TEST(any_subset_with_version_1_is_taken)
{
	begin();
	ck_assert(fake_guest_negotiate(&guest, FEATURE_B));
	ck_assert_uint_eq(dev.device.negotiated, FEATURE_B | UINT64_C(1) << 32);
	ck_assert(fake_guest_negotiate(&guest, 0));
	ck_assert_uint_eq(dev.device.negotiated, UINT64_C(1) << 32);
	ck_assert(fake_guest_negotiate(&guest, dev.device.features));
	ck_assert_uint_eq(dev.device.negotiated, dev.device.features);
	end();
}
END_TEST

START_TEST(a_feature_that_was_not_offered_is_refused)
{
	unsigned bit;

	begin();
	for (bit = 0; bit < 64; bit++)
		ck_assert(fake_guest_negotiate(&guest, UINT64_C(1) << bit) ==
			  ((dev.device.features >> bit) & 1));
	end();
}
END_TEST

/* Writes the driver's features, one selection at a time, and then FEATURES_OK. */
static bool try_features(uint32_t low, uint32_t high, uint32_t sel, uint32_t beyond)
{
	fake_write(&guest, FAKE_REG_STATUS, 0);
	fake_add_status(&guest, ACK);
	fake_add_status(&guest, DRIVER);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, low);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, high);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, sel);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, beyond);
	fake_add_status(&guest, FEAT);
	return fake_status(&guest) & FEAT;
}

START_TEST(version_1_is_required)
{
	begin();
	ck_assert(!try_features(1u << 3, 0, 2, 0));
	ck_assert_uint_eq(fake_status(&guest), ACK | DRIVER);
	/* A driver may correct itself without a reset. */
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 1);
	fake_add_status(&guest, FEAT);
	ck_assert_uint_eq(fake_status(&guest), ACK | DRIVER | FEAT);
	end();
}
END_TEST

START_TEST(features_beyond_64_are_refused)
{
	begin();
	ck_assert(try_features(0, 1, 2, 0));
	ck_assert(!try_features(0, 1, 2, 1));
	ck_assert(!try_features(0, 1, UINT32_MAX, 1));
	/* The next reset forgets them. */
	ck_assert(try_features(0, 1, 3, 0));
	end();
}
END_TEST

START_TEST(features_change_only_between_driver_and_features_ok)
{
	begin();
	fake_add_status(&guest, ACK);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, UINT32_MAX);
	fake_add_status(&guest, DRIVER);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 1);
	fake_add_status(&guest, FEAT);
	ck_assert_uint_eq(fake_status(&guest), ACK | DRIVER | FEAT);
	fake_write(&guest, FAKE_REG_DRIVER_FEATURES, 0xff);
	ck_assert_uint_eq(dev.device.negotiated, UINT64_C(1) << 32);
	ck_assert_uint_eq(guest.mmio.driver_features, UINT64_C(1) << 32);
	end();
}
END_TEST

/* --- the status ------------------------------------------------------------------------------- */

static bool may_follow(uint32_t from, uint32_t to)
{
	uint32_t added = to & ~from;

	if (to == 0 || to == from)
		return true;
	if ((from & ~to) || (from & FAILED))
		return false;
	if (added == FAILED)
		return true;
	return (from == 0 && added == ACK) || (from == ACK && added == DRIVER) ||
	       (from == (ACK | DRIVER) && added == FEAT) ||
	       (from == (ACK | DRIVER | FEAT) && added == OK);
}

START_TEST(every_status_after_every_status)
{
	uint32_t value;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(states); i++)
		for (value = 0; value < 256; value++) {
			go_to(states[i]);
			fake_write(&guest, FAKE_REG_STATUS, value);
			/*
			 * A driver cannot set NEEDS_RESET: that bit is ignored and the rest counts.
			 */
			if (value == RESET)
				ck_assert_uint_eq(fake_status(&guest), states[i]);
			else
				ck_assert_uint_eq(fake_status(&guest),
						  may_follow(states[i], value & ~RESET)
							  ? value & ~RESET
							  : states[i]);
		}
	end();
}
END_TEST

START_TEST(high_bits_of_the_status_are_no_step)
{
	begin();
	fake_write(&guest, FAKE_REG_STATUS, ACK | 0x100);
	ck_assert_uint_eq(fake_status(&guest), 0);
	fake_write(&guest, FAKE_REG_STATUS, ACK);
	fake_write(&guest, FAKE_REG_STATUS, 0x80000000);
	ck_assert_uint_eq(fake_status(&guest), ACK);
	end();
}
END_TEST

START_TEST(a_device_is_activated_and_reset_once)
{
	begin();
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 0);
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_uint_eq(dev.activations, 1);
	ck_assert(dev.device.active);
	fake_write(&guest, FAKE_REG_STATUS, LIVE);
	ck_assert_uint_eq(dev.activations, 1);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 1);
	ck_assert(!dev.device.active);
	ck_assert(!virtqueue_active(&dev.device.queue[0]));
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_uint_eq(dev.activations, 2);
	end();
}
END_TEST

START_TEST(a_driver_that_gave_up_stops_the_device)
{
	begin();
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_add_status(&guest, FAILED);
	ck_assert_uint_eq(dev.resets, 1);
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 0);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(dev.resets, 1);
	fake_guest_forget(&guest);
	ck_assert(fake_guest_bring_up(&guest, 0));
	fake_queue_kick(&guest.queue[0]);
	ck_assert_uint_eq(dev.notified[0], 1);
	end();
}
END_TEST

START_TEST(a_reset_forgets_everything)
{
	begin();
	ck_assert(fake_guest_bring_up(&guest, FEATURE_A));
	dev.device.transport_ops->interrupt_queue(dev.device.transport, 0);
	dev.device.transport_ops->needs_reset(dev.device.transport);
	fake_write(&guest, FAKE_REG_DEVICE_FEATURES_SEL, 1);
	fake_write(&guest, FAKE_REG_QUEUE_SEL, 2);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	ck_assert_uint_eq(fake_status(&guest), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_NUM_MAX), 16);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_QUEUE_READY), 0);
	ck_assert_uint_eq(fake_read(&guest, FAKE_REG_DEVICE_FEATURES) & (1u << 3), 1u << 3);
	ck_assert_uint_eq(dev.device.negotiated, 0);
	end();
}
END_TEST

UNIT_MAIN("mmio", a_device_identifies_itself, registers_have_one_width,
	  read_only_and_unknown_registers_ignore_writes, write_only_registers_read_as_zero,
	  there_is_no_shared_memory_and_no_queue_reset, features_are_offered_in_two_halves,
	  any_subset_with_version_1_is_taken, a_feature_that_was_not_offered_is_refused,
	  version_1_is_required, features_beyond_64_are_refused,
	  features_change_only_between_driver_and_features_ok, every_status_after_every_status,
	  high_bits_of_the_status_are_no_step, a_device_is_activated_and_reset_once,
	  a_driver_that_gave_up_stops_the_device, a_reset_forgets_everything)
