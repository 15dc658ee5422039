/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/legacy/power.h"

static uint64_t read_nothing(void *device, uint64_t offset, unsigned size)
{
	(void)device;
	(void)offset;
	(void)size;
	return 0;
}

static void write_i8042(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct power *power = device;

	(void)size;
	if (offset == 0 && (value & 0xff) == POWER_I8042_RESET && power->reset)
		power->reset(power->arg);
}

static void write_power_off(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct power *power = device;

	if (offset == 0 && size == 2 && (value & 0xffff) == POWER_OFF_VALUE && power->power_off)
		power->power_off(power->arg);
}

const struct bus_ops power_i8042_bus_ops = {.read = read_nothing, .write = write_i8042};
const struct bus_ops power_off_bus_ops = {.read = read_nothing, .write = write_power_off};

void power_init(struct power *power, void (*reset)(void *arg), void (*power_off)(void *arg),
		void *arg)
{
	*power = (struct power){.reset = reset, .power_off = power_off, .arg = arg};
}
