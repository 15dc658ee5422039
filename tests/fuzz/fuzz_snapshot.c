/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshot files, and what is restored from them. The first byte chooses: a valid file with some
 * bytes changed (checksums made right again or not, cut or not), or the saved state of a live
 * device, changed, restored into a new device and then used by the guest as if it were valid.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "devices/blk/blk.h"
#include "devices/legacy/uart.h"
#include "devices/net/card.h"
#include "devices/rng/rng.h"
#include "tests/support/fake_guest.h"
#include "tests/support/forged_snapshot.h"
#include "vmm/kvm/vcpu.h"

#define RAM	 MIB(1)
#define FAR_PAST 1000u

static void break_some(struct fuzz_script *script, uint8_t *bytes, size_t length)
{
	size_t at;

	while (!fuzz_ended(script) && length > 0) {
		at = fuzz_number(script, 2) % length;
		if (fuzz_rarely(script, 8) && length - at >= 8)
			store_le64(bytes + at, fuzz_number(script, 8));
		else
			bytes[at] ^= (uint8_t)fuzz_number(script, 1);
	}
}

static void fuzz_file(struct fuzz_script *script)
{
	static const struct snapshot_stop never;
	static uint8_t *file, *copy;
	static size_t size, state;
	struct forged_snapshot forged;
	struct snapshot snapshot;
	struct err err = {.text = ""};
	unsigned how = (unsigned)fuzz_number(script, 1);
	size_t length;
	uint32_t i;

	if (!file) {
		forged_snapshot_init(&forged);
		file = forged_snapshot_build(&forged, &size, &state);
		copy = malloc(size);
	}
	memcpy(copy, file, size);
	length = how & 1 ? size : fuzz_number(script, 2) % size;
	break_some(script, copy, state);
	if (how & 2)
		forged_snapshot_seal(copy, length);
	if (forged_snapshot_open(&snapshot, copy, length, &err) < 0) {
		FUZZ_REQUIRE(err.text[0] && snapshot.fd < 0 && !snapshot.state);
		return;
	}
	FUZZ_REQUIRE(snapshot.cpus >= 1 && snapshot.cpus <= VM_CPUS_MAX);
	FUZZ_REQUIRE(snapshot.disk_queues >= 1 && snapshot.disk_queues <= BLK_QUEUES);
	FUZZ_REQUIRE(snapshot.net_queues >= 1 && snapshot.net_queues <= NET_CARD_PAIRS);
	for (i = 0; i < snapshot.extent_count; i++)
		FUZZ_REQUIRE(range_within(snapshot.extents[i].offset, snapshot.extents[i].length,
					  length));
	FUZZ_REQUIRE(snapshot.disk <= DISK_BYTES_MAX);
	(void)snapshot_verify_memory(&snapshot, &never, &err);
	snapshot_close(&snapshot);
}

/* Saves an entropy device that has served requests. */
static void save_device(struct pack *pack, struct loop *loop)
{
	struct fake_guest guest;
	struct rng *rng;

	FUZZ_REQUIRE(rng_create(&rng, loop) == 0);
	fake_guest_init(&guest, RAM);
	fake_guest_attach(&guest, rng_device(rng));
	FUZZ_REQUIRE(fake_guest_bring_up(&guest, FAKE_F_EVENT_IDX));
	fake_queue_add_one(&guest.queue[0], fake_guest_alloc(&guest, 64, 16), 64, true);
	fake_queue_kick(&guest.queue[0]);
	virtio_mmio_save(&guest.mmio, pack);
	fake_guest_destroy(&guest);
	rng_destroy(rng);
}

static void fuzz_device(struct fuzz_script *script)
{
	static struct pack saved;
	static struct loop *loop;
	uint8_t copy[1024];
	struct fake_guest guest;
	struct unpack unpack;
	struct err err = {.text = ""};
	struct rng *rng;
	unsigned ring;

	if (!loop) {
		FUZZ_REQUIRE(loop_create(&loop) == 0);
		save_device(&saved, loop);
		FUZZ_REQUIRE(!saved.failed && saved.length <= sizeof(copy));
	}
	memcpy(copy, saved.data, saved.length);
	unpack = (struct unpack){.data = copy, .length = saved.length};
	if (fuzz_rarely(script, 8))
		unpack.length = fuzz_number(script, 1) % saved.length;
	ring = (unsigned)fuzz_number(script, 1);
	break_some(script, copy, saved.length);
	FUZZ_REQUIRE(rng_create(&rng, loop) == 0);
	fake_guest_init(&guest, RAM);
	fake_guest_attach(&guest, rng_device(rng));
	if (virtio_mmio_restore(&guest.mmio, &unpack, &err) < 0)
		FUZZ_REQUIRE(err.text[0]);
	/* Whatever the restore returned, the guest goes on with the device. */
	fake_write(&guest, FAKE_REG_QUEUE_NOTIFY, ring);
	(void)fake_read(&guest, FAKE_REG_STATUS);
	fake_write(&guest, FAKE_REG_STATUS, ring);
	fake_write(&guest, FAKE_REG_STATUS, 0);
	FUZZ_REQUIRE(fake_guest_bring_up(&guest, 0)); /* a reset clears everything */
	fake_guest_destroy(&guest);
	rng_destroy(rng);
}

static void no_console(void *arg, const uint8_t *bytes, size_t length)
{
	(void)arg;
	(void)bytes;
	(void)length;
}

static void fuzz_uart(struct fuzz_script *script)
{
	static struct loop *loop;
	struct irq_line irq;
	struct pack saved = {.data = NULL};
	struct unpack unpack;
	struct uart *uart;
	unsigned i;

	if (!loop)
		FUZZ_REQUIRE(loop_create(&loop) == 0);
	FUZZ_REQUIRE(irq_line_create(&irq, 4) == 0);
	FUZZ_REQUIRE(uart_create(&uart, loop, &irq, no_console, NULL) == 0);
	uart_input(uart, (const uint8_t *)"typed", 5);
	uart_save(uart, &saved);
	break_some(script, saved.data, saved.length);
	unpack = (struct unpack){.data = saved.data, .length = saved.length};
	(void)uart_restore(uart, &unpack);
	for (i = 0; i < 8; i++)
		(void)uart_bus_ops.read(uart, i, 1);
	for (i = 0; i < FAR_PAST / 8; i++)
		uart_bus_ops.write(uart, i % 8, 1, i);
	uart_destroy(uart);
	irq_line_destroy(&irq);
	pack_free(&saved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};

	switch (fuzz_below(&script, 4)) {
	case 0:
	case 1:
		fuzz_file(&script);
		break;
	case 2:
		fuzz_device(&script);
		break;
	default:
		fuzz_uart(&script);
		break;
	}
	return 0;
}
