/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/budget.h"
#include "vmm/base/bytes.h"
#include "vmm/files/server_internal.h"

/*
 * What host root's server needs of root's rights: to access files of all users, and to do without
 * them for the host's root (setfsuid(2)). Not CAP_FSETID, which would keep set-id bits of files
 * that the guest writes; not CAP_CHOWN, as owners of the host's files never change; not
 * CAP_SYS_ADMIN, CAP_SETFCAP or CAP_MKNOD, which make files that give others rights.
 */
#define KEPT                                                                        \
	(JAIL_CAPABILITY(CAP_DAC_OVERRIDE) | JAIL_CAPABILITY(CAP_DAC_READ_SEARCH) | \
	 JAIL_CAPABILITY(CAP_FOWNER) | JAIL_CAPABILITY(CAP_SETUID) | JAIL_CAPABILITY(CAP_SETGID))

/*
 * No mount namespace: in another one than the host's, a directory that the host has mounted
 * something on could be removed, and the kernel would unmount that. No user namespace: all other
 * users' files would seem to belong to no user in it, while the guest may be shown whose they are.
 */
int files_isolate(struct err *err)
{
	static const int kinds[] = {CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWNET};
	int ret;

	syscall(SYS_close_range, FILES_TAKE_FD + 1, ~0u, 0);
	/* Of descriptors it takes one for each open file of the guest. */
	ret = jail_limit_resources(err);
	if (ret == 0)
		ret = budget_divide(err);
	if (ret == 0 && jail_has_capabilities(JAIL_CAPABILITY(CAP_SYS_ADMIN)))
		jail_enter_namespaces(kinds, ARRAY_SIZE(kinds));
	if (ret == 0)
		ret = jail_keep_capabilities(KEPT, err);
	return ret == 0 ? jail_detach(err) : ret;
}

int files_confine(struct err *err)
{
	int ret = files_isolate(err);

	return ret == 0 ? files_filter_calls(err) : ret;
}
