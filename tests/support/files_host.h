/* SPDX-License-Identifier: Apache-2.0 */
/* For the file server's tests: a host directory, shared as /w under a policy, and a client. */
#ifndef CORDON_TEST_FILES_HOST_H
#define CORDON_TEST_FILES_HOST_H

#include "tests/support/fuse_client.h"
#include "vmm/policy/guard.h"

struct files_host {
	char top[256];	/* a temporary directory, with a file "secret" */
	char base[272]; /* the shared directory in it */
	struct files_share share;
	struct guard *guard;
	struct fuse_client client;
};

/* Where temporary directories are made: "/tmp". */
extern const char *files_host_directory;

/*
 * Begins a session whose root "0" is the share, which is strict. policy: the rules of a policy
 * file, without its first line; NULL: everything is allowed.
 */
void files_host_begin(struct files_host *host, const char *policy, bool read_only);
/* The same with another cache or configuration, which may be NULL. */
void files_host_begin_as(struct files_host *host, const char *policy, bool read_only,
			 enum fused_cache cache, const struct fuse_session_config *config);
/* The same without a session. */
void files_host_begin_share(struct files_host *host, const char *policy, bool read_only);
void files_host_end(struct files_host *host);

/* Replaces the policy. */
void files_host_replace(struct files_host *host, const char *policy);

/* A path below the base on the host, as "base/path" in a static buffer. */
const char *host_path(const struct files_host *host, const char *path);
void host_write(const struct files_host *host, const char *path, const char *text);
/* A file's contents in a static buffer; NULL if there is no such file. */
const char *host_read(const struct files_host *host, const char *path);
void host_mkdir(const struct files_host *host, const char *path);
/* Directories with files for rules: denied, read, log, d, and files called .env. */
void files_host_fill(const struct files_host *host);
bool host_has(const struct files_host *host, const char *path);

#endif
