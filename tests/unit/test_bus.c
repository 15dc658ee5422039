/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/bus.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/kvm/irq.h"
#include "tests/support/unit.h"

struct seen {
	unsigned reads, writes, size;
	uint64_t offset, value;
};

static uint64_t seen_read(void *device, uint64_t offset, unsigned size)
{
	struct seen *seen = device;

	seen->reads++;
	seen->offset = offset;
	seen->size = size;
	return 0x1122334455667788;
}

static void seen_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct seen *seen = device;

	seen->writes++;
	seen->offset = offset;
	seen->size = size;
	seen->value = value;
}

static const struct bus_ops ops = {.read = seen_read, .write = seen_write};

START_TEST(an_access_reaches_its_device)
{
	struct bus bus = {.count = 0};
	struct seen a = {0}, b = {0};

	ck_assert_int_eq(bus_add(&bus, 0x1000, 0x100, &ops, &a), 0);
	ck_assert_int_eq(bus_add(&bus, 0x1100, 0x10, &ops, &b), 0);
	ck_assert_uint_eq(bus_read(&bus, 0x10f8, 8), 0x1122334455667788);
	ck_assert_uint_eq(a.offset, 0xf8);
	ck_assert_uint_eq(a.size, 8);
	/* A device's value is cut to the size of the access. */
	ck_assert_uint_eq(bus_read(&bus, 0x1100, 1), 0x88);
	ck_assert_uint_eq(bus_read(&bus, 0x110e, 2), 0x7788);
	ck_assert_uint_eq(bus_read(&bus, 0x1104, 4), 0x55667788);
	ck_assert_uint_eq(b.reads, 3);
	bus_write(&bus, 0x110f, 1, 0xabcd);
	ck_assert_uint_eq(b.offset, 0xf);
	ck_assert_uint_eq(b.value, 0xcd);
	ck_assert_uint_eq(bus.unclaimed, 0);
}
END_TEST

START_TEST(unclaimed_addresses_read_as_ones)
{
	struct bus bus = {.count = 0};
	struct seen a = {0};

	ck_assert_int_eq(bus_add(&bus, 0x1000, 0x100, &ops, &a), 0);
	ck_assert_uint_eq(bus_read(&bus, 0xfff, 1), 0xff);
	ck_assert_uint_eq(bus_read(&bus, 0xfff, 2), 0xffff);
	ck_assert_uint_eq(bus_read(&bus, 0x10fd, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(&bus, 0x1100, 8), UINT64_MAX);
	ck_assert_uint_eq(bus_read(&bus, UINT64_MAX, 8), UINT64_MAX);
	bus_write(&bus, 0x10fd, 4, 0);
	bus_write(&bus, UINT64_MAX, 1, 0);
	ck_assert_uint_eq(a.reads + a.writes, 0);
	ck_assert_uint_eq(bus.unclaimed, 7);
	/* the twin: one byte lower it fits */
	bus_read(&bus, 0x10fc, 4);
	ck_assert_uint_eq(a.reads, 1);
}
END_TEST

/* Takes writes at offset 4 only. */
static bool seen_write_unlocked(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	if (offset != 4)
		return false;
	seen_write(device, offset, size, value);
	return true;
}

START_TEST(some_writes_need_no_lock)
{
	static const struct bus_ops both = {
		.read = seen_read, .write = seen_write, .write_unlocked = seen_write_unlocked};
	struct bus bus = {.count = 0};
	struct seen a = {0}, b = {0};

	ck_assert_int_eq(bus_add(&bus, 0x1000, 8, &ops, &a), 0);
	ck_assert_int_eq(bus_add(&bus, 0x2000, 8, &both, &b), 0);
	ck_assert(!bus_write_unlocked(&bus, 0x1004, 4, 1));
	ck_assert(!bus_write_unlocked(&bus, 0x2000, 4, 1));
	ck_assert(!bus_write_unlocked(&bus, 0x2006, 4, 1));
	ck_assert(!bus_write_unlocked(&bus, 0x2004, 3, 1));
	ck_assert(!bus_write_unlocked(&bus, 0x3004, 4, 1));
	ck_assert_uint_eq(a.writes + b.writes, 0);
	ck_assert(bus_write_unlocked(&bus, 0x2004, 2, 0x12345678));
	ck_assert_uint_eq(b.writes, 1);
	ck_assert_uint_eq(b.size, 2);
	ck_assert_uint_eq(b.value, 0x5678);
	/* They are counted by the access with the lock that follows. */
	ck_assert_uint_eq(bus.unclaimed, 0);
}
END_TEST

START_TEST(impossible_sizes_reach_no_device)
{
	struct bus bus = {.count = 0};
	struct seen a = {0};
	unsigned size;

	ck_assert_int_eq(bus_add(&bus, 0, 0x100, &ops, &a), 0);
	for (size = 0; size <= 64; size++) {
		if (size <= 8 && is_power_of_two(size))
			continue;
		bus_write(&bus, 0, size, UINT64_MAX);
		bus_read(&bus, 0, size);
	}
	ck_assert_uint_eq(bus_read(&bus, 0, 3), 0xffffff);
	ck_assert_uint_eq(a.reads + a.writes, 0);
}
END_TEST

START_TEST(ranges_that_overlap_or_wrap_are_refused)
{
	struct bus bus = {.count = 0};
	struct seen a = {0};

	ck_assert_int_eq(bus_add(&bus, 0x1000, 0x100, &ops, &a), 0);
	ck_assert_int_eq(bus_add(&bus, 0x1000, 0x100, &ops, &a), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0x10ff, 1, &ops, &a), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0xf00, 0x101, &ops, &a), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0, UINT64_MAX, &ops, &a), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0x2000, 0, &ops, &a), -EINVAL);
	ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 2, &ops, &a), -EINVAL);
	ck_assert_int_eq(bus_add(&bus, 0xf00, 0x100, &ops, &a), 0);
	ck_assert_int_eq(bus_add(&bus, 0x1100, 1, &ops, &a), 0);
	/* A range may end with the last address. */
	ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 1, &ops, &a), 0);
	ck_assert_uint_eq(bus_read(&bus, UINT64_MAX, 1), 0x88);
	ck_assert_uint_eq(bus_read(&bus, UINT64_MAX, 2), 0xffff);
}
END_TEST

START_TEST(a_full_bus_takes_no_more)
{
	struct bus bus = {.count = 0};
	struct seen a = {0};
	unsigned i;

	for (i = 0; i < BUS_DEVICES; i++)
		ck_assert_int_eq(bus_add(&bus, i * 0x10, 0x10, &ops, &a), 0);
	ck_assert_int_eq(bus_add(&bus, 0x10000, 0x10, &ops, &a), -ENOSPC);
	bus_write(&bus, (BUS_DEVICES - 1) * 0x10, 1, 1);
	ck_assert_uint_eq(a.writes, 1);
}
END_TEST

START_TEST(an_interrupt_counts_and_never_blocks)
{
	uint64_t count = UINT64_MAX - 1;
	struct irq_line line;

	ck_assert_int_eq(irq_line_create(&line, 7), 0);
	ck_assert_uint_eq(line.pin, 7);
	irq_line_raise(&line);
	irq_line_raise(&line);
	ck_assert_int_eq(read(line.fd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 2);
	/* The eventfd is full: an edge is lost, but there is one already. */
	count = UINT64_MAX - 1;
	ck_assert_int_eq(write(line.fd, &count, sizeof(count)), sizeof(count));
	irq_line_raise(&line);
	ck_assert_uint_eq(line.raised, 3);
	irq_line_destroy(&line);
	irq_line_raise(&line);
	irq_line_destroy(&line);
}
END_TEST

UNIT_MAIN("bus", an_access_reaches_its_device, unclaimed_addresses_read_as_ones,
	  some_writes_need_no_lock, impossible_sizes_reach_no_device,
	  ranges_that_overlap_or_wrap_are_refused, a_full_bus_takes_no_more,
	  an_interrupt_counts_and_never_blocks)
