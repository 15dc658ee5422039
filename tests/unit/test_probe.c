/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host probe, on the real /dev/kvm where there is one, and with other things put over /dev/kvm
 * in a mount namespace of the test's own (check runs each test in a process of its own).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/kvm/probe.h"

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ck_assert_int_eq(fd_write_full(fd, text, strlen(text)), 0);
	fd_close(&fd);
}

/* Into a mount namespace where this process may mount. False: this host does not let it. */
static bool own_mounts(void)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();

	if (geteuid() != 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			return false;
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_text("/proc/self/gid_map", map);
	} else if (unshare(CLONE_NEWNS) < 0) {
		return false;
	}
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool have_kvm(void)
{
	return access("/dev/kvm", F_OK) == 0;
}

static void cover_kvm(const char *with)
{
	ck_assert_int_eq(mount(with, "/dev/kvm", NULL, MS_BIND, NULL), 0);
}

START_TEST(kind_of_this_host)
{
	struct host_report report;
	struct err err = {.text = ""};
	bool emulated = false;
	int fd;

	if (!have_kvm() || access("/dev/kvm", R_OK | W_OK) < 0)
		return;
	host_probe(&report);
	ck_assert_msg(report.kind != HOST_NONE, "%s", report.reason.text);
	ck_assert(report.opened);
	ck_assert_int_eq(report.api_version, 12);
	ck_assert_int_eq(report.obstacle, HOST_OBSTACLE_NONE);
	ck_assert_int_eq(host_open_kvm(&fd, &err), 0);
	ck_assert_int_eq(host_is_ring0_emulated(fd, &emulated, &err), 0);
	ck_assert_int_eq(emulated, report.kind == HOST_RING0_EMULATED);
	fd_close(&fd);
}
END_TEST

START_TEST(capabilities_are_listed)
{
	struct host_report report;
	unsigned i, required = 0;

	if (!have_kvm() || access("/dev/kvm", R_OK | W_OK) < 0)
		return;
	host_probe(&report);
	for (i = 0; i < report.capabilities; i++) {
		ck_assert_ptr_nonnull(report.capability[i].name);
		ck_assert(strlen(report.capability[i].purpose) > 0);
		if (report.capability[i].required) {
			required++;
			ck_assert_int_ge(report.capability[i].value, report.capability[i].minimum);
		}
	}
	ck_assert_int_ge(required, 10);
}
END_TEST

START_TEST(repeats_and_leaks_nothing)
{
	struct err err = {.text = ""};
	bool emulated, first = false;
	int fd, i, before, after;

	if (!have_kvm() || access("/dev/kvm", R_OK | W_OK) < 0)
		return;
	ck_assert_int_eq(host_open_kvm(&fd, &err), 0);
	before = dup(fd);
	close(before);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(host_is_ring0_emulated(fd, &emulated, &err), 0);
		if (i == 0)
			first = emulated;
		ck_assert_int_eq(emulated, first);
	}
	after = dup(fd);
	close(after);
	ck_assert_int_eq(before, after);
	fd_close(&fd);
}
END_TEST

/* The guest of a vCPU that was probed runs as if nothing had been. */
START_TEST(a_probed_vcpu_runs_its_guest)
{
	static const uint8_t code[] = {0xb0, 0x5a, 0xe6, 0x42}; /* mov $0x5a, %al; out %al, $0x42 */
	enum { SIZE = 1 << 16, PROBE = 0x9000, CODE = 0x2000 };
	struct kvm_userspace_memory_region slot = {.memory_size = SIZE};
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	bool emulated = false, alone = false;
	struct err err = {.text = ""};
	int fd, vm, vcpu, size, i;
	struct kvm_run *run;
	uint8_t *memory;

	if (!have_kvm() || access("/dev/kvm", R_OK | W_OK) < 0)
		return;
	ck_assert_int_eq(host_open_kvm(&fd, &err), 0);
	ck_assert_int_eq(host_is_ring0_emulated(fd, &alone, &err), 0);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	memcpy(memory + CODE, code, sizeof(code));
	slot.userspace_addr = (uintptr_t)memory;
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	ck_assert_int_ge(vm, 0);
	ck_assert_int_eq(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	ck_assert(vcpu >= 0 && size > 0);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	ck_assert_ptr_ne(run, MAP_FAILED);

	ck_assert_int_eq(host_probe_vcpu(vcpu, run, memory + PROBE, PROBE, &emulated, &err), 0);
	ck_assert_int_eq(emulated, alone);
	for (i = 0; i < HOST_PROBE_BYTES; i++)
		ck_assert_int_eq(memory[PROBE + i], 0);
	ck_assert_int_eq(ioctl(vcpu, KVM_SET_REGS, &regs), 0);
	ck_assert_int_eq(ioctl(vcpu, KVM_RUN, 0), 0);
	ck_assert_uint_eq(run->exit_reason, KVM_EXIT_IO);
	ck_assert_uint_eq(run->io.port, 0x42);
	ck_assert_uint_eq(((uint8_t *)run)[run->io.data_offset], 0x5a);
	munmap(run, (size_t)size);
	fd_close(&vcpu);
	fd_close(&vm);
	fd_close(&fd);
	munmap(memory, SIZE);
}
END_TEST

START_TEST(create_vm_is_timed)
{
	struct err err = {.text = ""};
	unsigned long ns[3] = {0};
	int fd, i;

	if (!have_kvm() || access("/dev/kvm", R_OK | W_OK) < 0)
		return;
	ck_assert_int_eq(host_open_kvm(&fd, &err), 0);
	ck_assert_int_eq(host_time_create_vm(fd, 3, ns, &err), 0);
	for (i = 0; i < 3; i++)
		ck_assert_uint_gt(ns[i], 0);
	fd_close(&fd);
}
END_TEST

/* A device that is not KVM's. */
START_TEST(not_a_kvm_device)
{
	struct host_report report;
	struct err err = {.text = ""};
	int fd = 7;

	if (!have_kvm() || !own_mounts())
		return;
	cover_kvm("/dev/null");
	host_probe(&report);
	ck_assert_int_eq(report.kind, HOST_NONE);
	ck_assert_int_eq(report.obstacle, HOST_OBSTACLE_API_VERSION);
	ck_assert_int_eq(host_open_kvm(&fd, &err), -EPROTO);
	ck_assert_int_eq(fd, -1);
	ck_assert_ptr_nonnull(strstr(err.text, "not a KVM device"));
}
END_TEST

START_TEST(no_device)
{
	struct host_report report;
	struct err err = {.text = ""};
	int fd = 7;

	if (!own_mounts() || mount("none", "/dev", "tmpfs", 0, NULL) < 0)
		return;
	host_probe(&report);
	ck_assert_int_eq(report.kind, HOST_NONE);
	ck_assert_int_eq(report.obstacle, HOST_OBSTACLE_NO_DEVICE);
	ck_assert(!report.opened);
	ck_assert_int_eq(host_open_kvm(&fd, &err), -ENOENT);
	ck_assert_int_eq(fd, -1);
	ck_assert_ptr_nonnull(strstr(err.text, "modprobe"));
}
END_TEST

/* A device that this user may not open: a file of mode 0, opened without root. */
START_TEST(no_permission)
{
	char path[] = "/tmp/cordon-probe-XXXXXX";
	struct host_report report;
	struct err err = {.text = ""};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(chmod(path, 0), 0);
	if (!have_kvm() || geteuid() != 0 || !own_mounts()) {
		unlink(path);
		return;
	}
	cover_kvm(path);
	unlink(path);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setgid(65534), 0);
	ck_assert_int_eq(setuid(65534), 0);
	host_probe(&report);
	ck_assert_int_eq(report.kind, HOST_NONE);
	ck_assert_int_eq(report.obstacle, HOST_OBSTACLE_NO_PERMISSION);
	ck_assert_int_eq(host_open_kvm(&fd, &err), -EACCES);
	ck_assert_ptr_nonnull(strstr(err.text, "group"));
}
END_TEST

START_TEST(every_kind_has_a_name)
{
	ck_assert_str_eq(host_kind_name(HOST_NONE), "none");
	ck_assert_str_eq(host_kind_name(HOST_HARDWARE), "hardware");
	ck_assert_str_eq(host_kind_name(HOST_RING0_EMULATED), "ring0-emulated");
}
END_TEST

UNIT_MAIN("probe", kind_of_this_host, capabilities_are_listed, repeats_and_leaks_nothing,
	  a_probed_vcpu_runs_its_guest, create_vm_is_timed, not_a_kvm_device, no_device,
	  no_permission, every_kind_has_a_name)
