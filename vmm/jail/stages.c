/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail/stages.h"

#include <linux/capability.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vmm/base/exit_status.h"
#include "vmm/base/jail.h"
#include "vmm/base/log.h"
#include "vmm/jail/filter.h"
#include "vmm/jail/violation.h"

/*
 * What host root's monitor, or a process that it starts, needs of root's rights before the guest
 * runs: files of all users for the file server and the user's own options, users and namespaces of
 * the relay and the file server, taps, ports below 1024.
 */
#define KEPT                                                                                     \
	(JAIL_CAPABILITY(CAP_DAC_OVERRIDE) | JAIL_CAPABILITY(CAP_DAC_READ_SEARCH) |              \
	 JAIL_CAPABILITY(CAP_FOWNER) | JAIL_CAPABILITY(CAP_KILL) | JAIL_CAPABILITY(CAP_SETUID) | \
	 JAIL_CAPABILITY(CAP_SETGID) | JAIL_CAPABILITY(CAP_NET_BIND_SERVICE) |                   \
	 JAIL_CAPABILITY(CAP_NET_ADMIN) | JAIL_CAPABILITY(CAP_SYS_ADMIN))

/*
 * Of malloc(3). To have more, the allocator counts processors, and to shrink one that is not the
 * first it reads /proc/sys/vm/overcommit_memory: by calls of no list.
 */
#define ARENAS 1

/*
 * The sanitizers' and gcov's own code makes calls that the monitor never does, and the leak checker
 * traces the process.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JAILED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define JAILED false
#endif
#endif
#ifdef CORDON_ATTACK
/* The twins of attacks are not confined (tests/attack); no other build can be told so. */
#define JAILED (!getenv("CORDON_NO_JAIL"))
#endif
#ifndef JAILED
#define JAILED true
#endif

/* Each thread but the first, as it begins. */
static void begin_thread(enum jail_thread thread)
{
	struct err err = {.text = ""};

	jail_note_thread(thread);
	if (jail_filter_thread(thread, &err) == 0)
		return;
	log_error("the monitor cannot be confined: %s", err.text);
	_exit(EXIT_CORDON);
}

/* Guest memory and keys stay out of files; other processes of the user can't trace this one. */
static int stay_private(struct err *err)
{
	const struct rlimit zero = {0, 0};

	if (setrlimit(RLIMIT_CORE, &zero) < 0)
		return err_sys(err, "setrlimit core");
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, "prctl");
	return 0;
}

/* No rights from programs' files, and few of root's. */
static int give_up_rights(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "prctl");
	return jail_keep_capabilities(KEPT, err);
}

int jail_enter_first(struct err *err)
{
	int ret;

	if (!JAILED)
		return 0;
	mallopt(M_ARENA_MAX, ARENAS);
	ret = stay_private(err);
	if (ret == 0)
		ret = give_up_rights(err);
	if (ret == 0)
		ret = jail_filters_compile(err);
	if (ret == 0)
		ret = jail_catch_violations(err);
	if (ret == 0)
		jail_set_begin(begin_thread);
	return ret;
}
