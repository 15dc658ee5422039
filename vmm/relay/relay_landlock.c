/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's Documentation/userspace-api/landlock.rst. */
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/relay_jail_internal.h"

/* As the kernel has it from version 6 of the interface on; the C library's headers may be older. */
struct ruleset {
	uint64_t files, network, scopes;
};

#define VERSION	       1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define SCOPES_VERSION 6
#define SCOPES	       3u /* abstract Unix sockets, signals */

/* How many rights about files each version knows; later ones no fewer. */
static const unsigned char rights[] = {0, 13, 14, 15, 15, 16};

unsigned relay_landlock(void)
{
	/* Without a rule each right that it handles is denied everywhere. */
	struct ruleset none = {.files = 0};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
	unsigned got = RELAY_JAIL_FILES;
	int fd;

	if (version < 1)
		return 0;
	none.files = (UINT64_C(1) << rights[min_u64((uint64_t)version, sizeof(rights) - 1)]) - 1;
	if (version >= SCOPES_VERSION) {
		none.scopes = SCOPES;
		got |= RELAY_JAIL_PROCESSES;
	}
	/* Fields that an older kernel does not know are zero, which it accepts. */
	fd = (int)syscall(SYS_landlock_create_ruleset, &none, sizeof(none), 0);
	if (fd < 0)
		return 0;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		got = 0;
	close(fd);
	return got;
}
