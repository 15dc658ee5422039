/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/relay_jail.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/jail.h"
#include "vmm/relay/relay_jail_internal.h"
#include "vmm/relay/wire.h"

/*
 * The user id of a relay that root starts: this and its process id, of which there are at most
 * 2^22. In this range neither distributions nor systemd nor subuid(5) assign any.
 */
#define FIRST_UID 0x7f000000u

#define BIND JAIL_CAPABILITY(CAP_NET_BIND_SERVICE)

/*
 * Root without capabilities still owns the host's files and may signal root's processes. The group
 * stays: net.ipv4.ping_group_range goes by it. Only where the monitor can still end the relay,
 * which takes CAP_KILL then.
 */
static bool become_own_user(void)
{
	const unsigned uid = FIRST_UID + (unsigned)getpid();

	return geteuid() == 0 &&
	       jail_has_capabilities(JAIL_CAPABILITY(CAP_SETUID) | JAIL_CAPABILITY(CAP_KILL)) &&
	       prctl(PR_SET_KEEPCAPS, 1) == 0 && syscall(SYS_setresuid, uid, uid, uid) == 0;
}

/*
 * A user namespace lets an ordinary user have the others. It takes away what CAP_NET_BIND_SERVICE
 * permits in the host's network, so a process that has that (root, a container's root) goes without
 * it. Nothing is mapped into it: ids on sockets are the host's as before.
 */
static int give_up_privileges(unsigned *got, struct err *err)
{
	uint32_t kept = BIND;

	if (jail_has_capabilities(JAIL_CAPABILITY(CAP_SYS_ADMIN))) {
		*got = relay_enter_namespaces();
	} else if (!jail_has_capabilities(BIND) && unshare(CLONE_NEWUSER) == 0) {
		*got = relay_enter_namespaces();
		kept = 0;
	}
	if (become_own_user())
		*got |= RELAY_JAIL_USER;
	return jail_keep_capabilities(kept, err);
}

/* Without a rule each right is denied everywhere. */
unsigned relay_landlock(void)
{
	struct jail_landlock landlock;
	unsigned got = 0;

	jail_landlock_create(&landlock);
	if (landlock.fd >= 0 && jail_landlock_restrict(&landlock) == 0)
		got = RELAY_JAIL_FILES;
	if (got && landlock.version >= JAIL_LANDLOCK_SCOPES)
		got |= RELAY_JAIL_PROCESSES;
	jail_landlock_close(&landlock);
	return got;
}

int relay_isolate(unsigned *got, struct err *err)
{
	const struct rlimit none = {0, 0};
	int ret;

	*got = 0;
	syscall(SYS_close_range, RELAY_FD_MESSAGES + 1, ~0u, 0);
	/* Of descriptors it takes one for each flow. */
	ret = jail_limit_resources(err);
	if (ret == 0 && setrlimit(RLIMIT_NPROC, &none) < 0)
		ret = err_sys(err, "setrlimit nproc");
	if (ret == 0)
		ret = give_up_privileges(got, err);
	/* Another user id would undo these. The monitor's end: it may be killed at any time. */
	if (ret == 0)
		ret = jail_detach(err);
	if (ret == 0)
		*got |= relay_landlock();
	return ret;
}

int relay_confine(struct err *err)
{
	unsigned got;
	int ret = relay_isolate(&got, err);

	return ret == 0 ? relay_filter_calls(err) : ret;
}
