/* SPDX-License-Identifier: Apache-2.0 */
/* What -v prints about a machine that has ended. */
#include <stdio.h>

#include "vmm/base/bytes.h"
#include "vmm/machine/machine.h"

/* False if this KVM has no such counter. */
static bool sum_counter(const struct machine *machine, const char *name, uint64_t *sum)
{
	uint64_t value;
	unsigned i;

	*sum = 0;
	for (i = 0; i < machine->vcpus; i++) {
		if (vcpu_counter(&machine->vcpu[i], name, &value) < 0)
			return false;
		*sum += value;
	}
	return true;
}

static void report_counter(const struct machine *machine, const char *name)
{
	uint64_t sum;

	if (sum_counter(machine, name, &sum))
		fprintf(stderr, "cordon: KVM %s %llu\n", name, (unsigned long long)sum);
}

/* One line, as KVM counts them; some exits are in none of these. */
static void report_reasons(const struct machine *machine)
{
	static const char *const reasons[] = {
		"io_exits",	    "mmio_exits",	"halt_exits",	"irq_exits",
		"irq_window_exits", "nmi_window_exits", "signal_exits", "request_irq_exits"};
	const char *before = "cordon: KVM exits by reason: ";
	uint64_t sum;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (!sum_counter(machine, reasons[i], &sum) || sum == 0)
			continue;
		fprintf(stderr, "%s%s %llu", before, reasons[i], (unsigned long long)sum);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', stderr);
}

static void report_disk(struct blk *blk)
{
	const struct virtio_device *device = blk_device(blk);
	struct blk_stats stats;
	unsigned i, queues = 0;

	if (!blk_disk(blk))
		return;
	blk_stats(blk, &stats);
	for (i = 0; i < device->queue_count; i++)
		queues += device->queue[i].memory != NULL;
	fprintf(stderr,
		"cordon: %s read %llu bytes in %llu requests, written %llu in %llu, flushes %llu, "
		"failed %llu, %u of %u queues in use\n",
		device->name, (unsigned long long)stats.bytes_read, (unsigned long long)stats.reads,
		(unsigned long long)stats.bytes_written, (unsigned long long)stats.writes,
		(unsigned long long)stats.flushes, (unsigned long long)stats.failed, queues,
		device->queue_count);
}

static void report_fs(struct fs *fs)
{
	struct fs_stats stats;

	fs_stats(fs, &stats);
	if (stats.requests + stats.refused == 0)
		return;
	fprintf(stderr,
		"cordon: file system requests %llu, of these done in the doorbell %llu, "
		"refused %llu; doorbells %llu\n",
		(unsigned long long)stats.requests, (unsigned long long)stats.prompt,
		(unsigned long long)stats.refused, (unsigned long long)stats.doorbells);
}

void machine_report(struct machine *machine)
{
	struct vsock_stats vsock;
	unsigned long exits = 0;
	char assisted[512];
	unsigned i;

	machine->timeline.at[TIMELINE_DRIVERS] = vsock_device(machine->devices.vsock)->driver_ok_ns;
	timeline_print(&machine->timeline);
	for (i = 0; i < machine->vcpus; i++)
		exits += atomic_load(&machine->vcpu[i].exits);
	fprintf(stderr, "cordon: exits to the monitor %lu\n", exits);
	report_counter(machine, "exits");
	report_reasons(machine);
	report_counter(machine, "insn_emulation");
	for (i = 0; machine->vm.ring0_emulated && i < machine->vcpus; i++) {
		assist_describe(&machine->vcpu[i].assist, assisted, sizeof(assisted));
		fprintf(stderr, "cordon: vCPU %u, instructions assisted: %s\n", i,
			assisted[0] ? assisted : "none");
	}
	vsock_stats(machine->devices.vsock, &vsock);
	fprintf(stderr,
		"cordon: vsock to guest %llu bytes in %llu packets, from guest %llu in %llu\n",
		(unsigned long long)vsock.bytes_to_guest,
		(unsigned long long)vsock.packets_to_guest,
		(unsigned long long)vsock.bytes_from_guest,
		(unsigned long long)vsock.packets_from_guest);
	for (i = 0; i < MACHINE_DISKS; i++)
		report_disk(machine->devices.blk[i]);
	report_fs(machine->devices.fs);
	fprintf(stderr, "cordon: console %llu bytes, %llu not shown\n",
		(unsigned long long)machine->console.bytes,
		(unsigned long long)machine->console.dropped);
}
