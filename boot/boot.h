/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a Linux kernel into guest memory: the one entry for the machine.
 *
 * boot_load() puts everything that the kernel needs into memory (the kernel, initramfs, command
 * line, boot_params with the e820 map, device tree, random seed, GDT, page tables) and says in
 * which state the first vCPU starts: the 64-bit boot protocol of Linux's
 * Documentation/arch/x86/boot.rst. Addresses are those of boot/layout.h. Nothing of KVM is touched
 * here.
 */
#ifndef CORDON_BOOT_H
#define CORDON_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
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
	const char *kernel_path; /* ELF vmlinux, or bzImage with a gzip or plain payload */
	const char *initrd_path; /* initramfs, uncompressed newc cpio; NULL: none */
	const char *cmdline;	 /* NULL or "": empty */
	unsigned cpus;		 /* 1 to BOOT_CPUS_MAX; the APIC id is the number of the CPU */
	const struct boot_virtio *virtio; /* the devices that are present, and only those */
	unsigned virtio_count;
	bool serial;	    /* describe the 16550 at LAYOUT_PORT_UART, pin LAYOUT_PIN_UART */
	bool generation_id; /* describe a vmgenid page, whose start holds vmgenid[] */
	uint8_t vmgenid[BOOT_VMGENID_SIZE];
	const uint8_t *seed; /* BOOT_SEED_SIZE bytes from getrandom(2), or NULL: no seed */
};

/* A segment register, field for field as the architecture (and struct kvm_segment) has it. */
struct boot_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g;
};

/* What the first vCPU starts with. Registers that are not named are 0; IDT limit and base are 0. */
struct boot_entry {
	uint64_t rip; /* the kernel's 64-bit entry */
	uint64_t rsi; /* boot_params */
	uint64_t rsp;
	uint64_t rflags; /* bit 1 only: interrupts are off */
	uint64_t cr0, cr3, cr4, efer;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	struct boot_segment cs; /* 0x10 */
	struct boot_segment ds; /* 0x18, for DS, ES, FS, GS and SS */
	struct boot_segment tr; /* 0x20, a busy 64-bit TSS; LDTR is unusable */

	/* for the time line and for reports */
	uint64_t kernel_start, kernel_end;   /* guest-physical, of the loaded segments */
	uint64_t bytes_mapped, bytes_copied; /* of the kernel's file */
	uint64_t initrd_start, initrd_size;
};

/*
 * Loads everything. memory has a region that starts at 0. Nothing in memory may be relied upon
 * after an error. 0, or with a message: -ENOENT, -EACCES ... (a file can't be opened), -ENOEXEC
 * (not a kernel that can be booted), -ENOMEM (does not fit in memory), -E2BIG (command line or
 * device tree), -EINVAL (config), -EIO.
 */
int boot_load(const struct boot_config *config, struct guest_memory *memory, struct boot_entry *out,
	      struct err *err);

#endif
