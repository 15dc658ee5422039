/* SPDX-License-Identifier: Apache-2.0 */
/* cordon doctor: memory, relays, the guest's files. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/doctor.h"
#include "vmm/launch/guest_files.h"
#include "vmm/control/planted.h"
#include "vmm/jail/stages.h"
#include "vmm/machine/machine.h"
#include "vmm/relay/relay_jail.h"
#include "vmm/sandbox/isolate.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* A line of /proc/meminfo in bytes, or 0. */
static uint64_t meminfo(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line ? KIB(strtoull(line + strlen(name) + 1, NULL, 10)) : 0;
}

/* The selected value of "always [madvise] never". */
static void chosen(const char *path, char *word, size_t size)
{
	char text[128], *from, *to;

	snprintf(word, size, "unknown");
	if (!doctor_read(path, text, sizeof(text)))
		return;
	from = strchr(text, '[');
	to = strchr(text, ']');
	if (from && to && to > from)
		snprintf(word, size, "%.*s", (int)(to - from - 1), from + 1);
}

static bool huge_allowed(const char *word)
{
	return strcmp(word, "always") == 0 || strcmp(word, "madvise") == 0 ||
	       strcmp(word, "within_size") == 0 || strcmp(word, "advise") == 0 ||
	       strcmp(word, "force") == 0;
}

void doctor_check_memory(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "memory", DOCTOR_OK);
	char text[4096], overcommit[16], anon[32], shmem[32];
	uint64_t available, left = 0;

	if (!doctor_read("/proc/meminfo", text, sizeof(text))) {
		check->verdict = DOCTOR_NOTE;
		doctor_text(check->found, "unknown: /proc/meminfo cannot be read");
		return;
	}
	available = meminfo(text, "MemAvailable");
	doctor_read("/proc/sys/vm/overcommit_memory", overcommit, sizeof(overcommit));
	chosen(THP "enabled", anon, sizeof(anon));
	chosen(THP "shmem_enabled", shmem, sizeof(shmem));
	doctor_text(
		check->found,
		"%llu MiB available of %llu; a sandbox has %llu unless --memory says otherwise; "
		"overcommit %s; huge pages %s, shared %s",
		(unsigned long long)(available >> 20),
		(unsigned long long)(meminfo(text, "MemTotal") >> 20),
		(unsigned long long)(MACHINE_MEMORY_DEFAULT >> 20), overcommit, anon, shmem);
	if (strcmp(overcommit, "2") == 0) {
		uint64_t limit = meminfo(text, "CommitLimit"), used = meminfo(text, "Committed_AS");

		left = limit > used ? limit - used : 0;
		available = min_u64(available, left);
	}
	if (available < MACHINE_MEMORY_DEFAULT) {
		check->verdict = DOCTOR_NOTE;
		doctor_text(check->advice, "%s",
			    left && available == left
				    ? "vm.overcommit_memory is 2 and the limit is near: set it to "
				      "0, or "
				      "raise vm.overcommit_ratio"
				    : "free memory, or use a smaller --memory (64M and more)");
	} else if (!huge_allowed(anon) || !huge_allowed(shmem)) {
		check->verdict = DOCTOR_NOTE;
		doctor_text(check->advice, "for fewer page faults: echo %s > " THP "%s",
			    huge_allowed(anon) ? "advise" : "madvise",
			    huge_allowed(anon) ? "shmem_enabled" : "enabled");
	}
}

/* What try() returns in a process of its own, as it can't be undone: 0 to 254. -1: unknown. */
static int in_child(int (*try)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(try());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == UINT8_MAX)
		return -1;
	return WEXITSTATUS(status);
}

static int try_monitor_jail(void)
{
	struct err err;

	return jail_enter_first(&err) < 0;
}

void doctor_check_monitor(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "monitor", DOCTOR_OK);

	if (in_child(try_monitor_jail) == 0) {
		doctor_text(check->found, "no core dumps, not traceable; lists of system calls for "
					  "the threads of vCPUs and disks");
		return;
	}
	check->verdict = DOCTOR_NOTE;
	doctor_text(check->found, "not confined: a hole in a device gives more away");
	doctor_text(check->advice, "permit prctl(2), capset(2) and seccomp(2) to this process");
}

/* What a relay of this user would give up: enum relay_jail. -1: none would start. */
static int try_relay_jail(void)
{
	unsigned got = 0;
	struct err err;

	return relay_isolate(&got, &err) < 0 ? -1 : (int)got;
}

void doctor_check_relay(struct doctor *doctor)
{
	static const struct {
		int which;
		const char *name;
	} parts[] = {
		{RELAY_JAIL_ROOT, ", an empty root"},
		{RELAY_JAIL_NAMESPACES, ", namespaces"},
		{RELAY_JAIL_USER, ", a user id of its own"},
		{RELAY_JAIL_FILES, ", Landlock for files"},
		{RELAY_JAIL_PROCESSES, ", Landlock for signals and sockets"},
	};
	struct doctor_check *check = doctor_add(doctor, "relay", DOCTOR_OK);
	int got = in_child(try_relay_jail);
	size_t i, at;

	if (got < 0) {
		check->verdict = DOCTOR_NOTE;
		doctor_text(check->found, "cannot be confined: sandboxes have no network");
		doctor_text(check->advice,
			    "permit prctl(2), capset(2) and seccomp(2) to this process");
		return;
	}
	doctor_text(check->found, "confined by a list of system calls");
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		at = strlen(check->found);
		if (got & parts[i].which)
			snprintf(check->found + at, sizeof(check->found) - at, "%s", parts[i].name);
	}
	if (got & (RELAY_JAIL_ROOT | RELAY_JAIL_FILES))
		return;
	check->verdict = DOCTOR_NOTE;
	doctor_text(check->advice, "for a second wall: user namespaces (user.max_user_namespaces), "
				   "or Landlock (Linux 5.13, lsm=landlock,...)");
}

static int try_cores(void)
{
	return (int)isolate_cores();
}

void doctor_check_cores(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "cores", DOCTOR_OK);
	int got = in_child(try_cores); /* -1 counts as none */

	if (got == ISOLATE_CORES_COOKIE) {
		doctor_text(check->found, "core scheduling, for --isolate");
	} else if (got == ISOLATE_CORES_ALONE) {
		doctor_text(check->found, "no core runs two threads at once");
	} else {
		check->verdict = DOCTOR_NOTE;
		doctor_text(check->found, "no core scheduling: --isolate cannot keep others off a "
					  "sandbox's cores");
		doctor_text(check->advice, "a kernel with CONFIG_SCHED_CORE (Linux 5.14), or no "
					   "SMT (the kernel's option nosmt)");
	}
}

static void check_guest_file(struct doctor *doctor, const char *label, const char *name)
{
	struct doctor_check *check = doctor_add(doctor, label, DOCTOR_OK);
	struct err err = {.text = ""};
	char path[PATH_MAX];
	struct stat st;

	if (find_guest_file(name, path, &err) < 0) {
		check->verdict = DOCTOR_FAIL;
		doctor_text(check->found, "%s", err.text);
	} else if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		check->verdict = DOCTOR_FAIL;
		doctor_text(check->found, "%.400s is empty or no file", path);
		doctor_text(check->advice, "make guest");
	} else {
		doctor_text(check->found, "%.400s, %.1f MiB", path,
			    (double)st.st_size / (double)MIB(1));
	}
}

void doctor_check_guest(struct doctor *doctor)
{
	check_guest_file(doctor, "guest kernel", "vmlinux");
	check_guest_file(doctor, "initramfs", "initramfs");
}

static void note_planted(void *arg, const char *text)
{
	struct doctor_check *check = arg;

	if (check->verdict == DOCTOR_OK)
		doctor_text(check->found, "%s", text);
	check->verdict = DOCTOR_NOTE;
}

void doctor_check_planted(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "repositories", DOCTOR_OK);
	const struct planted_ops ops = {.report = note_planted, .arg = check};
	unsigned found = planted_find(".", NULL, &ops);

	if (found == 0)
		doctor_text(check->found, "no bare ones in the current directory");
	else
		doctor_text(check->advice,
			    "%u in the current directory; if they are not meant to be there remove "
			    "them; git config --global safe.bareRepository explicit",
			    found);
}
