/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/fdt.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>

#include "boot/layout.h"
#include "vmm/base/bytes.h"

#define PHANDLE_IOAPIC 1

/* The second interrupt cell: "rising edge" in Linux's table for the CE4100's IO-APIC. */
#define EDGE_RISING 3

#define UART_CLOCK 1843200 /* Hz, the traditional crystal: 115200 baud times 16 */

/* libfdt's sequential writer with a sticky error: fdt_build() checks it once, at the end. */
struct writer {
	void *blob;
	int status; /* 0 or a negative FDT_ERR_... */
};

static void begin(struct writer *writer, const char *name)
{
	if (writer->status == 0)
		writer->status = fdt_begin_node(writer->blob, name);
}

static void end(struct writer *writer)
{
	if (writer->status == 0)
		writer->status = fdt_end_node(writer->blob);
}

static void cell(struct writer *writer, const char *name, uint32_t value)
{
	if (writer->status == 0)
		writer->status = fdt_property_u32(writer->blob, name, value);
}

static void cells(struct writer *writer, const char *name, uint32_t first, uint32_t second)
{
	fdt32_t value[2] = {cpu_to_fdt32(first), cpu_to_fdt32(second)};

	if (writer->status == 0)
		writer->status = fdt_property(writer->blob, name, value, sizeof(value));
}

static void flag(struct writer *writer, const char *name)
{
	if (writer->status == 0)
		writer->status = fdt_property(writer->blob, name, NULL, 0);
}

static void text(struct writer *writer, const char *name, const char *value)
{
	if (writer->status == 0)
		writer->status = fdt_property_string(writer->blob, name, value);
}

/* Begins a node with a unit address: "name@address". */
static void begin_at(struct writer *writer, const char *name, uint64_t address)
{
	char buffer[32];

	snprintf(buffer, sizeof(buffer), "%s@%" PRIx64, name, address);
	begin(writer, buffer);
}

/*
 * Processors and interrupt controllers. The controllers are children of /cpus because Linux creates
 * a platform device for every child of the root, and nothing would use theirs. As their addresses
 * are those of the machine, /cpus has ranges and a size cell.
 */
static void write_cpus(struct writer *writer, unsigned cpus)
{
	unsigned i;

	begin(writer, "cpus");
	cell(writer, "#address-cells", 1);
	cell(writer, "#size-cells", 1);
	flag(writer, "ranges");
	for (i = 0; i < cpus; i++) {
		begin_at(writer, "cpu", i);
		cells(writer, "reg", i, 0); /* the APIC id */
		end(writer);
	}
	begin(writer, "lapic");
	text(writer, "compatible", "intel,ce4100-lapic");
	cells(writer, "reg", LAYOUT_LAPIC, 0x1000);
	/* The 8259 is not connected: the kernel must not switch over from PIC mode. */
	flag(writer, "intel,virtual-wire-mode");
	end(writer);
	begin(writer, "ioapic");
	text(writer, "compatible", "intel,ce4100-ioapic");
	cells(writer, "reg", LAYOUT_IOAPIC, 0x1000);
	flag(writer, "interrupt-controller");
	cell(writer, "#interrupt-cells", 2);
	cell(writer, "phandle", PHANDLE_IOAPIC);
	end(writer);
	end(writer);
}

static void write_device(struct writer *writer, const char *name, const char *compatible,
			 uint64_t base, uint64_t size, uint32_t pin)
{
	begin_at(writer, name, base);
	text(writer, "compatible", compatible);
	cells(writer, "reg", (uint32_t)base, (uint32_t)size);
	cells(writer, "interrupts", pin, EDGE_RISING);
}

static void write_devices(struct writer *writer, const struct boot_config *config)
{
	unsigned i;

	for (i = 0; i < config->virtio_count; i++) {
		write_device(writer, "v", "virtio,mmio", config->virtio[i].base,
			     config->virtio[i].size, config->virtio[i].pin);
		end(writer);
	}
	if (config->serial) {
		write_device(writer, "s", "ns16550a", LAYOUT_UART, LAYOUT_UART_SIZE,
			     LAYOUT_PIN_UART);
		cell(writer, "clock-frequency", UART_CLOCK);
		end(writer);
	}
	if (config->generation_id) {
		write_device(writer, "g", "microsoft,vmgenid", LAYOUT_VMGENID, BOOT_VMGENID_SIZE,
			     LAYOUT_PIN_VMGENID);
		end(writer);
	}
}

static int check_config(const struct boot_config *config, struct err *err)
{
	const struct boot_virtio *virtio;
	uint64_t last;
	unsigned i;

	if (config->cpus == 0 || config->cpus > BOOT_CPUS_MAX)
		return err_set(err, EINVAL, "%u processors: the range is 1 to %d", config->cpus,
			       BOOT_CPUS_MAX);
	if (config->virtio_count > LAYOUT_VIRTIO_COUNT)
		return err_set(err, EINVAL, "%u virtio devices: at most %d fit",
			       config->virtio_count, LAYOUT_VIRTIO_COUNT);
	for (i = 0; i < config->virtio_count; i++) {
		virtio = &config->virtio[i];
		/* Addresses are one cell, 32 bits. */
		if (virtio->size == 0 || add_overflows(virtio->base, virtio->size - 1, &last) ||
		    last > UINT32_MAX || virtio->pin >= LAYOUT_PINS)
			return err_set(err, EINVAL,
				       "virtio device %u: invalid address 0x%" PRIx64
				       " or interrupt pin %u",
				       i, virtio->base, virtio->pin);
	}
	return 0;
}

int fdt_build(const struct boot_config *config, void *blob, uint32_t *size, struct err *err)
{
	struct writer writer = {.blob = blob};
	int ret;

	ret = check_config(config, err);
	if (ret < 0)
		return ret;
	writer.status = fdt_create(blob, FDT_BYTES_MAX);
	if (writer.status == 0)
		writer.status = fdt_finish_reservemap(blob);
	begin(&writer, "");
	text(&writer, "compatible", "cordon,vm");
	cell(&writer, "#address-cells", 1);
	cell(&writer, "#size-cells", 1);
	cell(&writer, "interrupt-parent", PHANDLE_IOAPIC);
	write_cpus(&writer, config->cpus);
	write_devices(&writer, config);
	end(&writer);
	if (writer.status == 0)
		writer.status = fdt_finish(blob);
	if (writer.status < 0)
		return err_set(err, E2BIG, "the device tree can't be written: %s",
			       fdt_strerror(writer.status));
	*size = fdt_totalsize(blob);
	return 0;
}
