/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzz_vsock: host programs that connect to the device's Unix socket, and a listener. */
#ifndef CORDON_FUZZ_VSOCK_PROGRAMS_H
#define CORDON_FUZZ_VSOCK_PROGRAMS_H

#include "tests/fuzz/fuzz.h"

#define PROGRAMS      6
#define PROGRAMS_PORT 2000u /* the port that the listener serves */

struct programs {
	int client[PROGRAMS], listener; /* descriptors; -1: no client */
};

/* path: the device's Unix socket. */
void programs_begin(struct programs *programs, const char *path);
void programs_act(struct programs *programs, struct fuzz_script *script, const char *path);
void programs_end(struct programs *programs);

#endif
