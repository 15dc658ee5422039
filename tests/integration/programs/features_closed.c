/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's kernel must not have: system calls, and files that lead into the kernel. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/integration/programs/features.h"

#define MEMFD_SECRET 447 /* musl's compiler wrapper does not see the kernel's headers. */

/*
 * System calls that are closed to every program, guest root included: the kernel has none of them
 * (guest-kernel/config-off). With these arguments a call that exists would fail with another error.
 */
int closed(void)
{
	static const struct {
		long number;
		const char *name;
	} calls[] = {
		{SYS_perf_event_open, "perf_event_open"},
		{SYS_bpf, "bpf"},
		{SYS_io_uring_setup, "io_uring_setup"},
		{SYS_io_uring_enter, "io_uring_enter"},
		{SYS_io_uring_register, "io_uring_register"},
		{SYS_add_key, "add_key"},
		{SYS_request_key, "request_key"},
		{SYS_keyctl, "keyctl"},
		{SYS_userfaultfd, "userfaultfd"},
		{SYS_kexec_load, "kexec_load"},
		{SYS_kexec_file_load, "kexec_file_load"},
		{SYS_init_module, "init_module"},
		{SYS_finit_module, "finit_module"},
		{SYS_delete_module, "delete_module"},
		{SYS_modify_ldt, "modify_ldt"},
		{SYS_iopl, "iopl"},
		{SYS_ioperm, "ioperm"},
		{MEMFD_SECRET, "memfd_secret"},
		{SYS_acct, "acct"},
		{SYS_swapon, "swapon"},
	};
	size_t i;
	int ret = 0;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (syscall(calls[i].number, -1, -1, -1, -1, -1) >= 0 || errno != ENOSYS) {
			dprintf(console, "%s is there\n", calls[i].name);
			ret = EPROTO;
		}
	}
	return ret;
}

/* Nor are there files that lead to those calls, or into the kernel. */
int closed_files(void)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/perf_event_paranoid",
		"/proc/sys/kernel/perf_event_max_sample_rate",
		"/proc/sys/kernel/perf_cpu_time_max_percent",
		"/proc/sys/kernel/unprivileged_bpf_disabled",
		"/proc/sys/kernel/io_uring_disabled",
		"/proc/sys/vm/unprivileged_userfaultfd",
		"/proc/keys",
		"/proc/kcore",
		"/proc/kallsyms",
		"/proc/sysrq-trigger",
		"/proc/config.gz",
		"/proc/modules",
		"/sys/bus/event_source",
		"/sys/kernel/debug",
		"/sys/kernel/tracing",
		"/sys/kernel/profiling",
		"/sys/fs/fuse",
		"/tmp/dev/mem",
		"/tmp/dev/port",
		"/tmp/dev/snapshot",
		"/tmp/dev/fuse",
		"/tmp/dev/cuse",
	};
	size_t i;
	int ret = 0;

	mkdir("/sys", 0755);
	mkdir("/tmp/dev", 0755);
	if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0 ||
	    mount("dev", "/tmp/dev", "devtmpfs", 0, NULL) < 0 ||
	    access("/tmp/dev/null", F_OK) < 0 || access("/sys/bus/virtio", F_OK) < 0 ||
	    access("/proc/sys/kernel/pid_max", F_OK) < 0)
		return errno;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (access(paths[i], F_OK) == 0) {
			dprintf(console, "%s is there\n", paths[i]);
			ret = EPROTO;
		}
	}
	return ret;
}
