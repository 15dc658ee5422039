/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/relay_jail.h"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/relay_jail_internal.h"
#include "vmm/relay/wire.h"

/*
 * The user id of a relay that root starts: this and its process id, of which there are at most
 * 2^22. In this range neither distributions nor systemd nor subuid(5) assign any.
 */
#define FIRST_UID 0x7f000000u

#define BIT(capability) (UINT32_C(1) << (capability)) /* of those below 32 */

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
};

static bool has_all(const struct capabilities *own, uint32_t wanted)
{
	return (own->data[0].effective & wanted) == wanted;
}

/* Keeps those of wanted that are permitted. */
static int keep_capabilities(struct capabilities *own, uint32_t wanted, struct err *err)
{
	own->data[0].permitted &= wanted;
	own->data[0].effective = own->data[0].permitted;
	own->data[0].inheritable = 0;
	own->data[1] = (struct __user_cap_data_struct){.effective = 0};
	if (syscall(SYS_capset, &own->header, own->data) < 0)
		return err_sys(err, "capset");
	return 0;
}

static int limit_resources(struct err *err)
{
	static const struct {
		int resource;
		const char *what;
	} none[] = {{RLIMIT_CORE, "core"}, {RLIMIT_NPROC, "nproc"}};
	const struct rlimit zero = {0, 0};
	struct rlimit files;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(none); i++)
		if (setrlimit((__rlimit_resource_t)none[i].resource, &zero) < 0)
			return err_sys(err, "setrlimit %s", none[i].what);
	/* A descriptor for each flow. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			return err_sys(err, "setrlimit nofile");
	}
	return 0;
}

/*
 * Root without capabilities still owns the host's files and may signal root's processes. The group
 * stays: net.ipv4.ping_group_range goes by it. Only where the monitor can still end the relay,
 * which takes CAP_KILL then.
 */
static bool become_own_user(const struct capabilities *own)
{
	const unsigned uid = FIRST_UID + (unsigned)getpid();

	return geteuid() == 0 && has_all(own, BIT(CAP_SETUID) | BIT(CAP_KILL)) &&
	       prctl(PR_SET_KEEPCAPS, 1) == 0 && syscall(SYS_setresuid, uid, uid, uid) == 0;
}

/*
 * A user namespace lets an ordinary user have the others. It takes away what CAP_NET_BIND_SERVICE
 * permits in the host's network, so a process that has that (root, a container's root) goes without
 * it. Nothing is mapped into it: ids on sockets are the host's as before.
 */
static unsigned give_up_privileges(struct err *err, int *ret)
{
	struct capabilities own = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
	uint32_t kept = BIT(CAP_NET_BIND_SERVICE);
	unsigned got = 0;

	if (syscall(SYS_capget, &own.header, own.data) < 0) {
		*ret = err_sys(err, "capget");
		return 0;
	}
	if (has_all(&own, BIT(CAP_SYS_ADMIN))) {
		got = relay_enter_namespaces();
	} else if (!has_all(&own, kept) && unshare(CLONE_NEWUSER) == 0) {
		got = relay_enter_namespaces();
		kept = 0;
	}
	if (become_own_user(&own))
		got |= RELAY_JAIL_USER;
	*ret = keep_capabilities(&own, kept, err);
	return got;
}

int relay_isolate(unsigned *got, struct err *err)
{
	int ret;

	*got = 0;
	syscall(SYS_close_range, RELAY_FD_MESSAGES + 1, ~0u, 0);
	ret = limit_resources(err);
	if (ret == 0)
		*got = give_up_privileges(err, &ret);
	if (ret < 0)
		return ret;
	/* Another user id has undone these. The monitor's end: it may be killed at any time. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "prctl");
	*got |= relay_landlock();
	return 0;
}

int relay_confine(struct err *err)
{
	unsigned got;
	int ret = relay_isolate(&got, err);

	return ret == 0 ? relay_filter_calls(err) : ret;
}
