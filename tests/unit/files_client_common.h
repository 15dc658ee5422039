/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the file server's process share: a client of a server with one root, a FUSE
 * client that talks through both, and what the client has reported to its owner.
 */
#ifndef CORDON_TEST_FILES_CLIENT_COMMON_H
#define CORDON_TEST_FILES_CLIENT_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/files/ring.h"

/* Calls of the ops. */
struct files_told {
	unsigned room, died;
	bool done[FILES_SLOTS];
	unsigned dones;
	char why[128];
};

extern struct files_host host;
extern struct fuse_client *const client; /* of the process */
extern struct files_client *files;
extern struct files_told told;
extern struct loop *loop;
#define ROOT (client->root)

extern const struct files_client_ops told_ops;

/* A directory, shared under these rules (NULL: all is allowed), which no server has yet. */
void begin_host(const char *policy, bool read_only);
/* Starts a server; begin_files(): with the root "0", and after INIT. */
void begin_server(void);
void begin_files(const char *policy, bool read_only);
void end_server(void);
void end_files(void);

/* INIT, and the number of "0". */
void greet(void);

/* Runs the loop, until *count is not 0, or for ms. */
void run(unsigned ms);
void run_until(const unsigned *count);

/* Sends bytes as a request, in a slot, which it leaves as it is. */
unsigned post(const void *bytes, size_t length, size_t room);
/* Takes the reply: its length, or FUSED_LATER if the request waits for a lock. Frees the slot. */
ssize_t finish(unsigned slot, void *out, size_t room);
/* The same of one for which files_client_wait() returned false. */
ssize_t finish_left(unsigned slot, void *out, size_t room);

uint64_t node_of(const char *path);

/* Open descriptors. */
unsigned open_fds(void);

#endif
