/* SPDX-License-Identifier: Apache-2.0 */
/* The device tree, read back as Linux on x86 looks for things. */
#include "boot/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "boot/layout.h"
#include "tests/support/unit.h"

static uint8_t blob[FDT_BYTES_MAX];
static uint32_t size;
static struct err err;

static void build(const struct boot_config *config)
{
	ck_assert_msg(fdt_build(config, blob, &size, &err) == 0, "%s", err.text);
	ck_assert_int_eq(fdt_check_full(blob, size), 0);
}

static uint32_t cell_of(int node, const char *name, unsigned index)
{
	int length;
	const fdt32_t *value = fdt_getprop(blob, node, name, &length);

	ck_assert_msg(value && length >= (int)((index + 1) * sizeof(*value)), "no %s", name);
	return fdt32_to_cpu(value[index]);
}

static int compatible(const char *with)
{
	return fdt_node_offset_by_compatible(blob, -1, with);
}

static unsigned count_compatible(const char *with)
{
	unsigned count = 0;
	int node = -1;

	while ((node = fdt_node_offset_by_compatible(blob, node, with)) >= 0)
		count++;
	return count;
}

START_TEST(controllers)
{
	struct boot_config config = {.cpus = 1};
	int lapic, ioapic, cpus;

	build(&config);
	ck_assert_int_eq(fdt_node_check_compatible(blob, 0, "cordon,vm"), 0);
	ck_assert_uint_eq(cell_of(0, "#address-cells", 0), 1);
	ck_assert_uint_eq(cell_of(0, "#size-cells", 0), 1);
	lapic = compatible("intel,ce4100-lapic");
	ck_assert_uint_eq(cell_of(lapic, "reg", 0), LAYOUT_LAPIC);
	ck_assert_ptr_nonnull(fdt_getprop(blob, lapic, "intel,virtual-wire-mode", NULL));
	ioapic = compatible("intel,ce4100-ioapic");
	ck_assert_uint_eq(cell_of(ioapic, "reg", 0), LAYOUT_IOAPIC);
	ck_assert_uint_eq(cell_of(ioapic, "#interrupt-cells", 0), 2);
	ck_assert_ptr_nonnull(fdt_getprop(blob, ioapic, "interrupt-controller", NULL));
	/* Every interrupt of the machine leads there. */
	ck_assert_int_eq(fdt_node_offset_by_phandle(blob, cell_of(0, "interrupt-parent", 0)),
			 ioapic);
	/* Addresses below /cpus translate as they are: one cell each, size too, empty ranges. */
	cpus = fdt_path_offset(blob, "/cpus");
	ck_assert_int_eq(fdt_parent_offset(blob, ioapic), cpus);
	ck_assert_uint_eq(cell_of(cpus, "#address-cells", 0), 1);
	ck_assert_uint_eq(cell_of(cpus, "#size-cells", 0), 1);
	ck_assert_ptr_nonnull(fdt_getprop(blob, cpus, "ranges", NULL));
}
END_TEST

START_TEST(processors)
{
	struct boot_config config = {.cpus = BOOT_CPUS_MAX};
	int cpus, node;
	uint32_t expect = 0;

	build(&config);
	cpus = fdt_path_offset(blob, "/cpus");
	fdt_for_each_subnode(node, blob, cpus)
	{
		if (strncmp(fdt_get_name(blob, node, NULL), "cpu@", 4) != 0)
			continue;
		ck_assert_uint_eq(cell_of(node, "reg", 0), expect);
		expect++;
	}
	ck_assert_uint_eq(expect, BOOT_CPUS_MAX);
}
END_TEST

START_TEST(devices)
{
	static const struct boot_virtio virtio[] = {{0xd0000000, 0x1000, 5},
						    {0xd0001000, 0x1000, 6}};
	struct boot_config config = {.cpus = 1,
				     .virtio = virtio,
				     .virtio_count = ARRAY_SIZE(virtio),
				     .serial = true,
				     .generation_id = true};
	int node = -1;
	unsigned i;

	build(&config);
	for (i = 0; i < ARRAY_SIZE(virtio); i++) {
		node = fdt_node_offset_by_compatible(blob, node, "virtio,mmio");
		ck_assert_int_ge(node, 0);
		ck_assert_int_eq(fdt_parent_offset(blob, node), 0);
		ck_assert_uint_eq(cell_of(node, "reg", 0), virtio[i].base);
		ck_assert_uint_eq(cell_of(node, "reg", 1), virtio[i].size);
		ck_assert_uint_eq(cell_of(node, "interrupts", 0), virtio[i].pin);
		ck_assert_uint_eq(cell_of(node, "interrupts", 1), 3); /* rising edge */
	}
	node = compatible("ns16550a");
	ck_assert_uint_eq(cell_of(node, "reg", 0), LAYOUT_UART);
	ck_assert_uint_eq(cell_of(node, "interrupts", 0), LAYOUT_PIN_UART);
	ck_assert_uint_eq(cell_of(node, "clock-frequency", 0), 1843200);
	node = compatible("microsoft,vmgenid");
	ck_assert_uint_eq(cell_of(node, "reg", 0), LAYOUT_VMGENID);
	ck_assert_uint_eq(cell_of(node, "interrupts", 0), LAYOUT_PIN_VMGENID);
}
END_TEST

START_TEST(only_what_is_there)
{
	struct boot_config config = {.cpus = 1};

	build(&config);
	ck_assert_uint_eq(count_compatible("virtio,mmio"), 0);
	ck_assert_uint_eq(count_compatible("ns16550a"), 0);
	ck_assert_uint_eq(count_compatible("microsoft,vmgenid"), 0);
}
END_TEST

START_TEST(the_largest_fits)
{
	struct boot_virtio virtio[LAYOUT_VIRTIO_COUNT];
	struct boot_config config = {.cpus = BOOT_CPUS_MAX,
				     .virtio = virtio,
				     .virtio_count = LAYOUT_VIRTIO_COUNT,
				     .serial = true,
				     .generation_id = true};
	unsigned i;

	for (i = 0; i < LAYOUT_VIRTIO_COUNT; i++)
		virtio[i] = (struct boot_virtio){LAYOUT_VIRTIO_BASE + i * LAYOUT_VIRTIO_STRIDE,
						 0x1000, LAYOUT_PIN_VIRTIO + i};
	build(&config);
	ck_assert_uint_eq(count_compatible("virtio,mmio"), LAYOUT_VIRTIO_COUNT);
	config.virtio_count++;
	ck_assert_int_eq(fdt_build(&config, blob, &size, &err), -EINVAL);
}
END_TEST

START_TEST(refuses_what_cannot_be_described)
{
	struct boot_virtio virtio = {0xfffff000, 0x1000, LAYOUT_PINS - 1};
	struct boot_config config = {.cpus = 0, .virtio = &virtio, .virtio_count = 1};

	ck_assert_int_eq(fdt_build(&config, blob, &size, &err), -EINVAL);
	ck_assert(strstr(err.text, "processors"));
	config.cpus = BOOT_CPUS_MAX + 1;
	ck_assert_int_eq(fdt_build(&config, blob, &size, &err), -EINVAL);
	config.cpus = 1;
	build(&config);
	virtio.size++;
	ck_assert_int_eq(fdt_build(&config, blob, &size, &err), -EINVAL);
	ck_assert(strstr(err.text, "virtio device 0"));
	virtio = (struct boot_virtio){UINT64_MAX, 0x1000, 5};
	ck_assert_int_eq(fdt_build(&config, blob, &size, &err), -EINVAL);
	virtio = (struct boot_virtio){0xd0000000, 0x1000, LAYOUT_PINS};
	ck_assert_int_eq(fdt_build(&config, blob, &size, &err), -EINVAL);
	virtio.pin = 0;
	build(&config);
}
END_TEST

UNIT_MAIN("fdt", controllers, processors, devices, only_what_is_there, the_largest_fits,
	  refuses_what_cannot_be_described)
