/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MMIO bus and the port bus: they dispatch accesses to devices by address.
 *
 * A device sees only the offset within its range and the size of the access. The bus checks that
 * the whole access lies in one device's range; any other read returns all ones, and any other write
 * is ignored. Ranges are added before the vCPUs start and do not change afterwards.
 */
#ifndef CORDON_KVM_BUS_H
#define CORDON_KVM_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_DEVICES 48

struct bus_ops {
	/* offset is within the range; size is 1, 2, 4 or 8 bytes. */
	uint64_t (*read)(void *device, uint64_t offset, unsigned size);
	void (*write)(void *device, uint64_t offset, unsigned size, uint64_t value);
	/*
	 * For writes that the device handles without the device lock, in several threads at once.
	 * False: not this one; nothing has happened, and write is called. May be NULL.
	 */
	bool (*write_unlocked)(void *device, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_range {
	uint64_t base;
	uint64_t length;
	const struct bus_ops *ops;
	void *device;
};

struct bus {
	struct bus_range range[BUS_DEVICES];
	unsigned count;
	uint64_t unclaimed; /* accesses outside all ranges, for statistics */
};

/*
 * Adds a device at [base, base + length). 0, -EINVAL (empty or wraps), -EEXIST (overlaps another
 * range) or -ENOSPC (BUS_DEVICES ranges exist).
 */
int bus_add(struct bus *bus, uint64_t base, uint64_t length, const struct bus_ops *ops,
	    void *device);

/*
 * Performs a guest access of size bytes, 1 to 8. The guest chooses address and size freely. The
 * caller holds the device lock (vmm/base/loop.h).
 */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size);
void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

/*
 * Tries a write before the caller takes the device lock. False: it needs the lock; call
 * bus_write() with it.
 */
bool bus_write_unlocked(const struct bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
