/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a Linux kernel into guest memory: the one entry point for the machine.
 *
 * boot_load() writes everything that the kernel needs into memory (the kernel, initramfs, command
 * line, boot_params with the e820 map, device tree, random seed, GDT, page tables) and returns the
 * initial state of the first vCPU, as the 64-bit boot protocol of Linux's
 * Documentation/arch/x86/boot.rst defines it. Addresses are those of boot/layout.h. It makes no KVM
 * calls.
 */
#ifndef CORDON_BOOT_H
#define CORDON_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/entry.h"
#include "vmm/kvm/memory.h"

#define BOOT_CPUS_MAX	   8
#define BOOT_SEED_SIZE	   32
#define BOOT_VMGENID_SIZE  16
#define BOOT_FILE_SIZE_MAX (512ull << 20) /* kernel or initramfs, bytes */

/* A virtio-mmio device: its window and its IO-APIC pin. */
struct boot_virtio {
	uint64_t base;
	uint64_t size;
	uint32_t pin;
};

struct boot_config {
	const char *kernel_path; /* ELF vmlinux, or bzImage with a gzip or uncompressed payload */
	const char *initrd_path; /* initramfs, uncompressed newc cpio; NULL: none */
	const char *cmdline;	 /* NULL or "": empty */
	unsigned cpus;		 /* 1 to BOOT_CPUS_MAX; the APIC id is the number of the CPU */
	const struct boot_virtio *virtio; /* the devices that are present, and only those */
	unsigned virtio_count;
	bool serial;	    /* describe the 16550 at LAYOUT_PORT_UART, pin LAYOUT_PIN_UART */
	bool generation_id; /* describe a vmgenid page, which starts with vmgenid[] */
	uint8_t vmgenid[BOOT_VMGENID_SIZE];
	const uint8_t *seed; /* BOOT_SEED_SIZE bytes from getrandom(2), or NULL: no seed */
};

struct boot_entry {
	/*
	 * The first vCPU: rip is the kernel's 64-bit entry, rsi boot_params, interrupts are off. CS
	 * is 0x10, the data segments 0x18, TR a busy 64-bit TSS at 0x20; LDTR is unusable.
	 */
	struct vcpu_entry cpu;

	/* for the time line and for messages */
	uint64_t kernel_start, kernel_end;   /* guest-physical range of the loaded segments */
	uint64_t bytes_mapped, bytes_copied; /* of the kernel file */
	uint64_t initrd_start, initrd_size;
};

/*
 * Loads everything. The first region of memory must start at 0. After an error the contents of
 * memory are undefined. 0, or with a message: -ENOENT, -EACCES ... (can't open a file), -ENOEXEC
 * (not a bootable kernel), -ENOMEM (does not fit in memory), -E2BIG (command line or device tree
 * too large), -EINVAL (invalid config), -EIO.
 */
int boot_load(const struct boot_config *config, struct guest_memory *memory, struct boot_entry *out,
	      struct err *err);

#endif
