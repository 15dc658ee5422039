/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MMIO and the port bus: which device answers at an address.
 *
 * A device knows its own offset and the size of the access and nothing else. The bus checks that
 * the whole access lies in one device's range; anything else reads as all ones and is not written.
 * Ranges are added before the vCPUs start and do not change afterwards.
 */
#ifndef CORDON_KVM_BUS_H
#define CORDON_KVM_BUS_H

#include <stdint.h>

#define BUS_DEVICES 48

struct bus_ops {
	/* offset is within the range; size is 1, 2, 4 or 8 bytes. */
	uint64_t (*read)(void *device, uint64_t offset, unsigned size);
	void (*write)(void *device, uint64_t offset, unsigned size, uint64_t value);
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
	uint64_t unclaimed; /* accesses that no device answered */
};

/* 0, -EINVAL (empty, wraps), -EEXIST (overlaps another) or -ENOSPC. */
int bus_add(struct bus *bus, uint64_t base, uint64_t length, const struct bus_ops *ops,
	    void *device);

/*
 * size: 1 to 8 bytes. Any address and size may come from the guest. The caller holds the device
 * lock (vmm/base/loop.h).
 */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size);
void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
