/* SPDX-License-Identifier: Apache-2.0 */
/* cordon doctor: what KVM says and does. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/cli/doctor.h"

#define KVM_DEVICE     "/dev/kvm"
#define NX_HUGE_PAGES  "/sys/module/kvm/parameters/nx_huge_pages"
#define ITLB_MULTIHIT  "/sys/devices/system/cpu/vulnerabilities/itlb_multihit"
#define SLOW_CREATE_NS 3000000ul /* a VM is usually made in 0.1 to 1 ms */
#define GROUP_BUFFER   4096
#define MOUNTS_SIZE    65536

/* "group kvm, mode 0660" of the device, or "". */
static void describe_owner(char *text, size_t size)
{
	char buffer[GROUP_BUFFER];
	struct group entry, *found = NULL;
	struct stat st;

	text[0] = '\0';
	if (stat(KVM_DEVICE, &st) < 0)
		return;
	getgrgid_r(st.st_gid, &entry, buffer, sizeof(buffer), &found);
	if (found)
		snprintf(text, size, "group %s, mode %04o", found->gr_name, st.st_mode & 07777);
	else
		snprintf(text, size, "group %u, mode %04o", st.st_gid, st.st_mode & 07777);
}

static void check_device(struct doctor *doctor)
{
	const struct host_report *host = &doctor->host;
	struct doctor_check *check;
	char owner[128];

	if (host->obstacle == HOST_OBSTACLE_NO_DEVICE) {
		check = doctor_add(doctor, KVM_DEVICE, DOCTOR_FAIL);
		doctor_text(check->found, "%s", host->reason.text);
		return;
	}
	check = doctor_add(doctor, KVM_DEVICE, DOCTOR_OK);
	doctor_text(check->found, "there");
	check = doctor_add(doctor, "permission", DOCTOR_OK);
	describe_owner(owner, sizeof(owner));
	if (host->obstacle != HOST_OBSTACLE_NO_PERMISSION) {
		doctor_text(check->found, KVM_DEVICE " opens (%s)", owner);
		return;
	}
	check->verdict = DOCTOR_FAIL;
	doctor_text(check->found, KVM_DEVICE " does not open: permission denied (%s)", owner);
	if (getgrnam("kvm"))
		doctor_text(check->advice,
			    "join the group that owns it: sudo usermod -aG kvm $USER, then log in "
			    "again (if the group is root: sudo chgrp kvm " KVM_DEVICE
			    " && sudo chmod 660 " KVM_DEVICE ")");
	else
		doctor_text(check->advice, "until the next start of this host: sudo setfacl -m "
					   "u:$USER:rw " KVM_DEVICE "; for good: docs/hosts.md");
}

static void check_version(struct doctor *doctor)
{
	const struct host_report *host = &doctor->host;
	struct doctor_check *check = doctor_add(doctor, "KVM API", DOCTOR_OK);

	if (!host->opened) {
		check->verdict = DOCTOR_SKIP;
		doctor_text(check->found, "unknown");
	} else if (host->obstacle == HOST_OBSTACLE_API_VERSION) {
		check->verdict = DOCTOR_FAIL;
		doctor_text(check->found, "%s", host->reason.text);
		doctor_text(check->advice, "load the module of the host's own kernel");
	} else {
		doctor_text(check->found, "version %d", host->api_version);
	}
}

/* Appends a name to a list in text. */
static void append(char text[512], const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, 512 - used, "%s%s", used ? " " : "", word);
}

static void check_capabilities(struct doctor *doctor)
{
	const struct host_report *host = &doctor->host;
	struct doctor_check *check = doctor_add(doctor, "capabilities", DOCTOR_OK);
	char missing[512] = "", optional[512] = "";
	const struct host_capability *cap;
	unsigned i, there = 0;

	if (!host->capabilities) {
		check->verdict = DOCTOR_SKIP;
		doctor_text(check->found, "unknown");
		return;
	}
	for (i = 0; i < host->capabilities; i++) {
		cap = &host->capability[i];
		if (cap->value >= cap->minimum)
			there++;
		else
			append(cap->required ? missing : optional, cap->name);
	}
	if (missing[0]) {
		check->verdict = DOCTOR_FAIL;
		doctor_text(check->found, "missing: %.400s", missing);
		doctor_text(check->advice, "use a newer host kernel");
	} else {
		doctor_text(check->found, "all that are needed, %u in all%s%.80s", there,
			    optional[0] ? "; not there, and not needed: " : "", optional);
	}
}

static void check_kind(struct doctor *doctor)
{
	const struct host_report *host = &doctor->host;
	struct doctor_check *check = doctor_add(doctor, "kind of host", DOCTOR_OK);

	if (host->kind == HOST_HARDWARE) {
		doctor_text(
			check->found,
			"hardware: the processor runs the guest, its kernel too, at full speed");
	} else if (host->kind == HOST_RING0_EMULATED) {
		check->verdict = DOCTOR_NOTE;
		doctor_text(
			check->found,
			"ring 0 emulated: programs run at full speed, but the guest's kernel at "
			"about 1 us an instruction, so a boot takes seconds and a system call "
			"about a millisecond");
		doctor_text(check->advice,
			    "for speed, use a host with VT-x or AMD-V, or a virtual machine with "
			    "nested virtualization (docs/hosts.md)");
	} else if (host->obstacle == HOST_OBSTACLE_BROKEN) {
		check->verdict = DOCTOR_FAIL;
		doctor_text(check->found, "%s", host->reason.text);
	} else {
		check->verdict = DOCTOR_SKIP;
		doctor_text(check->found, "unknown");
	}
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/* "v1", "v2" or "v1 and v2"; *favors: whether moving threads is made cheap (favordynmods). */
static const char *cgroup_versions(bool *favors)
{
	static char mounts[MOUNTS_SIZE];
	bool v1, v2;

	doctor_read("/proc/self/mounts", mounts, sizeof(mounts));
	v1 = strstr(mounts, " cgroup ") != NULL;
	v2 = strstr(mounts, " cgroup2 ") != NULL;
	*favors = strstr(mounts, "favordynmods") != NULL;
	if (v1)
		return v2 ? "v1 and v2" : "v1";
	return v2 ? "v2" : "none";
}

/*
 * What makes KVM_CREATE_VM slow: kernels that split huge pages against iTLB multihit start a thread
 * for each VM, and attaching it to the creator's cgroups waits for an RCU grace period unless the
 * hierarchy is mounted with favordynmods. Newer kernels start that thread later.
 */
static void advise_on_latency(struct doctor_check *check, const char *nx, bool favors)
{
	char multihit[128];
	bool immune = doctor_read(ITLB_MULTIHIT, multihit, sizeof(multihit)) &&
		      strcmp(multihit, "Not affected") == 0;

	check->verdict = DOCTOR_NOTE;
	if (strcmp(nx, "never") != 0 && immune)
		doctor_text(
			check->advice,
			"the processor is not affected by iTLB multihit: boot the host with "
			"kvm.nx_huge_pages=never (Linux 6.5), so that no recovery thread is made");
	else if (!favors)
		doctor_text(
			check->advice,
			"remount the cgroup hierarchies with favordynmods (Linux 6.0): mount -o "
			"remount,favordynmods /sys/fs/cgroup");
}

static void check_latency(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "KVM_CREATE_VM", DOCTOR_OK);
	unsigned long *ns = doctor->create_vm_ns, median;
	const char *versions;
	struct err err = {.text = ""};
	char nx[32];
	bool favors;
	int fd, ret;

	if (doctor->host.kind == HOST_NONE) {
		check->verdict = DOCTOR_SKIP;
		doctor_text(check->found, "not measured");
		return;
	}
	ret = host_open_kvm(&fd, &err);
	if (ret == 0)
		ret = host_time_create_vm(fd, DOCTOR_TIMINGS, ns, &err);
	fd_close(&fd);
	if (ret < 0) {
		check->verdict = DOCTOR_FAIL;
		doctor_text(check->found, "%s", err.text);
		return;
	}
	qsort(ns, DOCTOR_TIMINGS, sizeof(*ns), compare);
	median = ns[DOCTOR_TIMINGS / 2];
	versions = cgroup_versions(&favors);
	if (!doctor_read(NX_HUGE_PAGES, nx, sizeof(nx)))
		snprintf(nx, sizeof(nx), "unknown");
	doctor_text(check->found,
		    "median %.2f ms of %d (%.2f to %.2f); cgroup %s%s; nx_huge_pages %s",
		    (double)median / 1e6, DOCTOR_TIMINGS, (double)ns[0] / 1e6,
		    (double)ns[DOCTOR_TIMINGS - 1] / 1e6, versions,
		    favors ? " with favordynmods" : "", nx);
	if (median > SLOW_CREATE_NS)
		advise_on_latency(check, nx, favors);
}

void doctor_check_kvm(struct doctor *doctor)
{
	host_probe(&doctor->host);
	check_device(doctor);
	check_version(doctor);
	check_capabilities(doctor);
	check_kind(doctor);
	check_latency(doctor);
}
