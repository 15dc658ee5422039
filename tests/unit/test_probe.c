/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host probe, on the real /dev/kvm where there is one, and with other things put over /dev/kvm
 * in a mount namespace of the test's own (check runs each test in a process of its own).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	  create_vm_is_timed, not_a_kvm_device, no_device, no_permission, every_kind_has_a_name)
