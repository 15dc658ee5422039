/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/bus.h"

#include <errno.h>
#include <stddef.h>

#include "vmm/base/bytes.h"

int bus_add(struct bus *bus, uint64_t base, uint64_t length, const struct bus_ops *ops,
	    void *device)
{
	const struct bus_range *other;
	uint64_t last;
	unsigned i;

	/* Compare last bytes, not ends: a range may end at the top of the address space. */
	if (length == 0 || add_overflows(base, length - 1, &last))
		return -EINVAL;
	for (i = 0; i < bus->count; i++) {
		other = &bus->range[i];
		if (base <= other->base + (other->length - 1) && other->base <= last)
			return -EEXIST;
	}
	if (bus->count >= BUS_DEVICES)
		return -ENOSPC;
	bus->range[bus->count++] =
		(struct bus_range){.base = base, .length = length, .ops = ops, .device = device};
	return 0;
}

/* The range that contains the whole access, or NULL. */
static const struct bus_range *look_up(const struct bus *bus, uint64_t address, unsigned size)
{
	const struct bus_range *range;
	unsigned i;

	/* KVM splits accesses at page boundaries, so a part can have 3, 5, 6 or 7 bytes. */
	if (size <= 8 && is_power_of_two(size)) {
		for (i = 0; i < bus->count; i++) {
			range = &bus->range[i];
			if (range_within(address - range->base, size, range->length))
				return range;
		}
	}
	return NULL;
}

/* The same; counts an access to none. */
static const struct bus_range *find(struct bus *bus, uint64_t address, unsigned size)
{
	const struct bus_range *range = look_up(bus, address, size);

	bus->unclaimed += range == NULL;
	return range;
}

static uint64_t mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
}

uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size)
{
	const struct bus_range *range = find(bus, address, size);

	if (!range)
		return mask(size);
	return range->ops->read(range->device, address - range->base, size) & mask(size);
}

void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
	const struct bus_range *range = find(bus, address, size);

	if (range)
		range->ops->write(range->device, address - range->base, size, value & mask(size));
}

bool bus_write_unlocked(const struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
	const struct bus_range *range = look_up(bus, address, size);

	return range && range->ops->write_unlocked &&
	       range->ops->write_unlocked(range->device, address - range->base, size,
					  value & mask(size));
}
