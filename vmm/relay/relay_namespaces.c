/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "vmm/base/bytes.h"
#include "vmm/base/jail.h"
#include "vmm/base/jail_root.h"
#include "vmm/relay/relay_jail_internal.h"

unsigned relay_enter_namespaces(void)
{
	static const int others[] = {CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
	unsigned got =
		jail_enter_namespaces(others, ARRAY_SIZE(others)) ? RELAY_JAIL_NAMESPACES : 0;

	if (jail_enter_root(NULL, 0))
		got |= RELAY_JAIL_ROOT;
	return got;
}
