/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guest/hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/code.h"

#define HANG_SECONDS   300 /* only a hang takes that long */
#define GROWTH_DEFAULT MIB(2)

#define PAGE_PRESENT 3u /* and writable */
#define PAGE_LARGE   0x80u

void hostile_fail(struct hostile *h, const char *fmt, ...)
{
	va_list ap;

	if (h->failure[0])
		return;
	va_start(ap, fmt);
	vsnprintf(h->failure, sizeof(h->failure), fmt, ap);
	va_end(ap);
}

/* --- the machine ------------------------------------------------------------------------------ */

static uint64_t device_read(void *device, uint64_t offset, unsigned size)
{
	struct hostile *h = device;
	struct vsock_stats stats;

	(void)size;
	if (offset == HOSTILE_DEVICE_TELL && h->test->tell)
		return h->test->tell(h);
	if (offset != HOSTILE_DEVICE_STREAMS)
		return 0;
	vsock_stats(h->devices.vsock, &stats);
	return stats.streams;
}

static void device_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct hostile *h = device;

	(void)offset;
	(void)size;
	(void)value;
	pthread_mutex_lock(&h->end_lock);
	h->ended = true;
	pthread_cond_broadcast(&h->end_changed);
	pthread_mutex_unlock(&h->end_lock);
}

static const struct bus_ops device_ops = {.read = device_read, .write = device_write};

static void vcpu_ended(void *arg, struct vcpu *vcpu, enum vcpu_end how, const char *message)
{
	struct hostile *h = arg;

	(void)vcpu;
	if (how == VCPU_END_STOPPED)
		return;
	pthread_mutex_lock(&h->end_lock);
	h->stopped = true;
	h->how = how;
	snprintf(h->message, sizeof(h->message), "%s", message);
	pthread_cond_broadcast(&h->end_changed);
	pthread_mutex_unlock(&h->end_lock);
}

static const struct vcpu_ops vcpu_ops = {.ended = vcpu_ended};

static void on_console(void *arg, const uint8_t *bytes, size_t length)
{
	struct hostile *h = arg;

	console_output(&h->console, bytes, length);
}

static void on_reset(void *arg)
{
	atomic_fetch_add(&((struct hostile *)arg)->resets, 1);
}

static void on_power_off(void *arg)
{
	atomic_fetch_add(&((struct hostile *)arg)->power_offs, 1);
}

static void put(struct hostile *h, uint64_t address, const uint8_t *from, const uint8_t *end)
{
	guest_memory_write(&h->memory, address, from, (size_t)(end - from));
}

/* Maps the first 4 GiB one to one, and after them one page far up in physical memory. */
static void make_page_tables(struct hostile *h)
{
	uint64_t *table = guest_memory_at(&h->memory, HOSTILE_TABLES, 7 * 4096);
	uint64_t *far_table = table + 6 * 512;
	unsigned i;

	table[0] = (HOSTILE_TABLES + 0x1000) | PAGE_PRESENT;
	for (i = 0; i < 5; i++)
		table[512 + i] = (HOSTILE_TABLES + 0x2000 + 0x1000 * i) | PAGE_PRESENT;
	for (i = 0; i < 4 * 512; i++)
		table[1024 + i] = MIB(2) * i | PAGE_PRESENT | PAGE_LARGE;
	far_table[0] = (GIB(64) - MIB(2)) | PAGE_PRESENT | PAGE_LARGE;
}

/* 64-bit mode, as on entry to a kernel: paging on, flat segments, interrupts off. */
static const struct vcpu_entry entry = {
	.rip = HOSTILE_CODE,
	.rsi = HOSTILE_COMMANDS,
	.rsp = 0x7ff0,
	.rflags = 2,
	.cr0 = 0x80000031,
	.cr3 = HOSTILE_TABLES,
	.cr4 = 0x20,
	.efer = 0x500,
	.cs = {.limit = UINT32_MAX,
	       .selector = 0x10,
	       .type = 11,
	       .present = 1,
	       .s = 1,
	       .l = 1,
	       .g = 1},
	.ds = {.limit = UINT32_MAX,
	       .selector = 0x18,
	       .type = 3,
	       .present = 1,
	       .s = 1,
	       .db = 1,
	       .g = 1},
	.tr = {.limit = 103, .selector = 0x20, .type = 11, .present = 1},
};

static int make_machine(struct hostile *h, struct err *err)
{
	struct machine_device_hooks hooks = {
		.console = on_console,
		.reset = on_reset,
		.power_off = on_power_off,
		.arg = h,
	};
	const struct machine_queues queues = {
		.disk = 1, .net = h->test->several_pairs ? 2 : 1, .fs = 1};
	unsigned i, cpus = h->test->second_cpu ? 2 : 1;
	int ret;

	ret = loop_create(&h->loop);
	if (ret == 0)
		ret = console_init(&h->console, h->loop, -1);
	if (ret < 0)
		return ret;
	ret = guest_memory_create(&h->memory, HOSTILE_MEMORY, LAYOUT_HOLE_START, LAYOUT_HOLE_END,
				  err);
	if (ret == 0)
		ret = vm_create(&h->vm, h->loop, &h->memory, LAYOUT_KVM_PAGES, err);
	if (ret == 0)
		ret = devices_create(&h->devices, &h->vm, NULL, &queues, &hooks, err);
	if (ret == 0)
		ret = bus_add(&h->vm.mmio, HOSTILE_DEVICE, HOSTILE_DEVICE_SIZE, &device_ops, h);
	for (i = 0; ret == 0 && i < cpus; i++) {
		ret = vcpu_create(&h->vcpu[i], &h->vm, i, cpus, err);
		h->vcpus += ret == 0;
	}
	if (ret < 0)
		return ret;
	make_page_tables(h);
	put(h, HOSTILE_CODE, hostile_code, hostile_code_end);
	put(h, HOSTILE_CPU2_CODE, hostile_cpu2, hostile_cpu2_end);
	return vcpu_set_entry(&h->vcpu[0], &entry, err);
}

static void *loop_main(void *arg)
{
	struct hostile *h = arg;

	loop_run(h->loop);
	return NULL;
}

/* Stores the pairs at the host's speed: like a processor faster than any guest's. */
static void *flip_main(void *arg)
{
	struct hostile *h = arg;
	const uint8_t *pair = guest_memory_at(&h->memory, HOSTILE_FLIPS, 4096);
	unsigned i;

	while (!atomic_load(&h->flip_stop))
		for (i = 0; i < h->flips; i++) {
			uint16_t *at = guest_memory_at(&h->memory, load_le16(pair + 4 * i), 2);

			__atomic_store_n(at, load_le16(pair + 4 * i + 2), __ATOMIC_RELAXED);
		}
	return NULL;
}

static int start_machine(struct hostile *h, struct err *err)
{
	unsigned i;
	int ret = 0;

	h->loop_started = pthread_create(&h->loop_thread, NULL, loop_main, h) == 0;
	if (h->test->flip_thread)
		h->flip_started = pthread_create(&h->flip_thread, NULL, flip_main, h) == 0;
	for (i = 0; ret == 0 && i < h->vcpus; i++)
		ret = vcpu_start(&h->vcpu[i], &vcpu_ops, h, err);
	return ret;
}

static void destroy_machine(struct hostile *h)
{
	unsigned i;

	for (i = 0; i < h->vcpus; i++)
		vcpu_destroy(&h->vcpu[i]);
	if (h->flip_started) {
		atomic_store(&h->flip_stop, true);
		pthread_join(h->flip_thread, NULL);
	}
	if (h->loop_started) {
		loop_stop(h->loop);
		pthread_join(h->loop_thread, NULL);
	}
	devices_destroy(&h->devices);
	vm_destroy(&h->vm);
	guest_memory_destroy(&h->memory);
	console_destroy(&h->console);
	loop_destroy(h->loop);
	free(h->expect);
}

/* --- one test --------------------------------------------------------------------------------- */

/* The monitor's private memory in bytes, without guest memory, which is shared. */
static uint64_t private_memory(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kib << 10;
}

static void wait_for_end(struct hostile *h)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HANG_SECONDS;
	pthread_mutex_lock(&h->end_lock);
	while (!h->ended && !h->stopped && ret == 0)
		ret = pthread_cond_timedwait(&h->end_changed, &h->end_lock, &until);
	if (!h->ended && !h->stopped)
		hostile_fail(h, "hangs");
	else if (h->stopped && !h->test->may_stop)
		hostile_fail(h, "the guest ended early: %s", h->message);
	pthread_mutex_unlock(&h->end_lock);
}

static void check_expectations(struct hostile *h)
{
	unsigned i;

	for (i = 0; i < h->expected && !h->failure[0]; i++) {
		const struct expectation *expect = &h->expect[i];
		uint64_t result = script_result(h, expect->command);

		if (expect->done && result == 0)
			hostile_fail(h, "%s: it did not (command %llu)", expect->what,
				     (unsigned long long)expect->command);
		else if (!expect->done && result != expect->value)
			hostile_fail(h, "%s: 0x%llx instead of 0x%llx (command %llu)", expect->what,
				     (unsigned long long)result, (unsigned long long)expect->value,
				     (unsigned long long)expect->command);
	}
}

static void init_rings(struct hostile *h)
{
	static const unsigned slot[RINGS] = {SLOT_VSOCK, SLOT_VSOCK,   SLOT_VSOCK,   SLOT_RNG,
					     SLOT_DISK,	 SLOT_NET,     SLOT_NET,     SLOT_NET,
					     SLOT_NET,	 SLOT_NET,     SLOT_IMAGE,   SLOT_FS,
					     SLOT_FS,	 SLOT_BALLOON, SLOT_BALLOON, SLOT_BALLOON};
	unsigned i;

	for (i = 0; i < RINGS; i++)
		h->ring[i] = (struct guest_ring){
			.slot = slot[i],
			.queue = (unsigned)(&h->ring[i] - driver_ring(h, slot[i], 0)),
			/* The file system's lie where the card's do: no test drives both. */
			.base = HOSTILE_RINGS +
				(slot[i] == SLOT_FS ? i - 6 : i) * HOSTILE_RING_BYTES,
			.size = RING_SIZE,
		};
	for (i = 0; i < BALLOON_QUEUES; i++)
		driver_ring(h, SLOT_BALLOON, i)->base = HOSTILE_BALLOON + i * 0x1000u;
}

static void run_test(struct hostile *h)
{
	uint64_t before, after, allowed = h->test->growth ? h->test->growth : GROWTH_DEFAULT;
	struct err err = {""};

	if (make_machine(h, &err) < 0) {
		hostile_fail(h, "no machine: %s", err.text);
		return;
	}
	init_rings(h);
	if (h->test->setup)
		h->test->setup(h);
	h->test->build(h);
	script_finish(h);
	before = private_memory();
	if (start_machine(h, &err) < 0) {
		hostile_fail(h, "no start: %s", err.text);
		return;
	}
	wait_for_end(h);
	loop_lock(h->loop);
	after = private_memory();
	if (h->ended)
		check_expectations(h);
	if (h->test->check && !h->failure[0])
		h->test->check(h);
	loop_unlock(h->loop);
	if (after > before + allowed)
		hostile_fail(h, "the monitor grew by %llu KiB",
			     (unsigned long long)(after - before) >> 10);
}

/* Runs in a child process, so that a monitor that dies fails only its test. */
static int child(const struct hostile_test *test)
{
	struct hostile *h = calloc(1, sizeof(*h));

	if (!h)
		return 1;
	h->test = test;
	h->memory.fd = -1;
	h->vm.fd = h->vm.kvm_fd = -1;
	pthread_mutex_init(&h->end_lock, NULL);
	pthread_cond_init(&h->end_changed, NULL);
	run_test(h);
	destroy_machine(h);
	if (h->failure[0])
		printf("not ok %s: %s\n", test->name, h->failure);
	else
		printf("ok %s\n", test->name);
	fflush(stdout);
	return h->failure[0] ? 1 : 0;
}

static bool have_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int hostile_run_all(const struct hostile_test *test, size_t count)
{
	int status, failed = 0;
	pid_t pid;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!have_kvm()) {
			printf("skip %s: /dev/kvm cannot be opened: %s\n", test[i].name,
			       strerror(errno));
			continue;
		}
		fflush(stdout);
		pid = fork();
		if (pid == 0)
			_exit(child(&test[i]));
		if (pid < 0 || waitpid(pid, &status, 0) != pid) {
			printf("not ok %s: no process\n", test[i].name);
			failed = 1;
			continue;
		}
		if (WIFSIGNALED(status))
			printf("not ok %s: the monitor died of signal %d\n", test[i].name,
			       WTERMSIG(status));
		failed |= status != 0;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
