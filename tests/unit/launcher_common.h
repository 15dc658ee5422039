/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a launcher for tests. */
#ifndef CORDON_TEST_LAUNCHER_COMMON_H
#define CORDON_TEST_LAUNCHER_COMMON_H

#include "vmm/jail/launcher.h"

#define HANG_MS 20000

/*
 * echo sends bytes and its descriptor back, twice; refuse fails with EACCES and takes up to 8
 * bytes. hold and leave run a script with their descriptor as stdout: one that ignores signals and
 * never ends, and one that exits with status 7 and leaves another process. look tells the
 * launcher's descriptors, its name, whether it leads a process group, and whether it is dumpable.
 * other is not in the table.
 */
extern const struct launcher_request echo, refuse, hold, leave, look, other;

/* Places in the table. */
enum { ECHO, REFUSE, HOLD, LEAVE, LOOK, SERVICES };
extern struct launcher_config config;

#endif
