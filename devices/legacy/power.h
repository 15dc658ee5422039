/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a guest ends the machine: reset through the keyboard controller's command port, and power-off
 * through a dedicated port.
 */
#ifndef CORDON_LEGACY_POWER_H
#define CORDON_LEGACY_POWER_H

#include <stdint.h>

#include "vmm/kvm/bus.h"

#define POWER_I8042_RESET 0xfe	 /* command: pulse the processor's reset line */
#define POWER_OFF_VALUE	  0x2000 /* 16 bits, written to the power port */

struct power {
	void (*reset)(void *arg);
	void (*power_off)(void *arg);
	void *arg;
};

/*
 * One port: reads as 0 (no keyboard data, ready for a command); writing POWER_I8042_RESET calls
 * reset.
 */
extern const struct bus_ops power_i8042_bus_ops;

/* Two ports: a 16-bit write of POWER_OFF_VALUE calls power_off; reads as 0. */
extern const struct bus_ops power_off_bus_ops;

/* The callbacks run with the device lock held, on a vCPU thread; each may be called repeatedly. */
void power_init(struct power *power, void (*reset)(void *arg), void (*power_off)(void *arg),
		void *arg);

#endif
