/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the FUSE server share. */
#ifndef CORDON_TEST_FUSE_COMMON_H
#define CORDON_TEST_FUSE_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"

extern struct files_host host;
extern struct fuse_client *const client;
#define ROOT (client->root)

/* A strict share of the policy; NULL: everything is allowed. */
void begin_fuse(const char *policy, bool read_only);

/* The same with rules about files in it, which end_ruled() expects to be as they were. */
extern const char ruled[];
void begin_ruled(const char *policy, bool read_only);
void end_ruled(void);

/* Opens what is at a path, which must work: its handle, and the node. */
uint64_t opened(const char *path, uint32_t flags, uint64_t *node);
uint64_t node_of(const char *path);
struct fuse_session_stats fuse_stats(void);

/*
 * begin_ruled() with a share that remembers owners. False, with a message, if files here can't
 * carry what is remembered; end_ruled() follows in any case.
 */
bool begin_remembering(void);
int chown_to(uint64_t node, uint32_t uid, uint32_t gid);
struct fuse_attr attributes(const char *path);
struct stat on_host(const char *path);

#endif
