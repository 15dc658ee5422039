/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/broken.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/memory.h"

#define WORDS (BROKEN_SIZE / 8)

static struct {
	uint64_t word[WORDS];
	const struct guest_memory *memory;
	struct loop_source posted;
} broken;

static void make_call(void)
{
	const uint64_t *w = broken.word;
	long ret = syscall((long)w[0], w[1], w[2], w[3], w[4], w[5], w[6]);

	/* A child, which has no machine. */
	if (ret == 0 && (w[0] == SYS_clone || w[0] == SYS_clone3))
		_exit(0);

	broken.word[BROKEN_RESULT / 8] = (uint64_t)(ret == -1 ? -errno : ret);
	broken.word[BROKEN_DONE / 8] = 1;
}

static void is_posted(void *arg, uint32_t events)
{
	uint64_t count;

	(void)arg;
	(void)events;
	if (read(broken.posted.fd, &count, sizeof(count)) == sizeof(count))
		make_call();
}

static uint64_t read_register(void *device, uint64_t offset, unsigned size)
{
	(void)device;
	return size == 8 && offset % 8 == 0 ? broken.word[offset / 8] : 0;
}

static void write_register(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	(void)device;
	if (size != 8 || offset % 8 != 0)
		return;
	broken.word[offset / 8] = value;
	if (offset == BROKEN_WHERE) {
		broken.word[offset / 8] =
			(uint64_t)(uintptr_t)guest_memory_at(broken.memory, value, 1);
	} else if (offset == BROKEN_GO) {
		broken.word[BROKEN_DONE / 8] = 0;
		if (value == 0)
			make_call();
		else
			fd_notify(broken.posted.fd);
	}
}

static const struct bus_ops ops = {.read = read_register, .write = write_register};

int broken_add(struct vm *vm, struct err *err)
{
	int ret;

	broken.memory = vm->memory;
	broken.posted = (struct loop_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					     .ready = is_posted};
	if (broken.posted.fd < 0)
		return err_sys(err, "eventfd");
	ret = loop_add(vm->loop, &broken.posted, EPOLLIN);
	if (ret == 0)
		ret = bus_add(&vm->mmio, BROKEN_BASE, BROKEN_SIZE, &ops, &broken);
	return ret < 0 ? err_code(err, -ret, "the broken device") : 0;
}
