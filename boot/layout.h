/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every guest-physical address, port and interrupt number, in one place.
 *
 * Low memory is RAM that holds the boot tables; once booted, the kernel may use all of it. The
 * memory from LOW_END to HIGH_START exists, but has no entry in the e820 map: the kernel never
 * allocates there, yet a driver may claim it. (Linux marks an e820 "reserved" range below 1 MiB
 * busy, and would refuse it to the vmgenid driver.)
 */
#ifndef CORDON_BOOT_LAYOUT_H
#define CORDON_BOOT_LAYOUT_H

/* RAM lies below this hole for devices, and the rest of the RAM from 4 GiB on. */
#define LAYOUT_HOLE_START 0xc0000000ull
#define LAYOUT_HOLE_END	  0x100000000ull

/* Boot tables in RAM, first MiB. */
#define LAYOUT_GDT	   0x00001000ull
#define LAYOUT_BOOT_PARAMS 0x00007000ull /* the "zero page", 4 KiB */
#define LAYOUT_PAGE_TABLES 0x00009000ull /* PML4, PDPT, page directories: 6 pages */
#define LAYOUT_CMDLINE	   0x00010000ull
#define LAYOUT_CMDLINE_MAX 2048 /* bytes with the NUL, COMMAND_LINE_SIZE on x86 */

/* e820: [0, LOW_END) RAM, nothing up to HIGH_START, then RAM. */
#define LAYOUT_LOW_END	  0x0009f000ull
#define LAYOUT_VMGENID	  0x0009f000ull /* one page, which starts with the GUID */
#define LAYOUT_SETUP_DATA 0x000a0000ull /* random seed, then the device tree */
#define LAYOUT_SETUP_MAX  0x00010000ull
#define LAYOUT_HIGH_START 0x00100000ull

/* Devices. */
#define LAYOUT_VIRTIO_BASE   0xd0000000ull /* device n at BASE + n * STRIDE */
#define LAYOUT_VIRTIO_STRIDE 0x1000ull
#define LAYOUT_VIRTIO_COUNT  16
#define LAYOUT_UART	     0xd0010000ull /* 16550, registers one byte apart */
#define LAYOUT_UART_SIZE     8
#define LAYOUT_IOAPIC	     0xfec00000ull
#define LAYOUT_LAPIC	     0xfee00000ull
#define LAYOUT_KVM_PAGES     0xfffbc000ull /* four pages that KVM on Intel needs: identity map, TSS */

/*
 * Ports. The device tree describes the UART at LAYOUT_UART only (without PCI, Linux can't translate
 * port addresses in a device tree). The traditional port has just a transmitter, for messages from
 * before the driver starts.
 */
#define LAYOUT_PORT_UART  0x3f8 /* 8 ports */
#define LAYOUT_PORT_I8042 0x64	/* writing 0xfe resets the machine */
#define LAYOUT_PORT_POWER 0x604 /* writing 0x2000 (16 bits) powers it off */

/* IO-APIC pins, all edge triggered. */
#define LAYOUT_PIN_UART	   4
#define LAYOUT_PIN_VIRTIO  5 /* device n: pin 5 + n */
#define LAYOUT_PIN_VMGENID 22
#define LAYOUT_PINS	   24

#endif
