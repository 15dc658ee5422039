/* SPDX-License-Identifier: Apache-2.0 */
/* A host directory, shared as /w under a policy, with a client: what tests of the file server need.
 */
#ifndef CORDON_TEST_FILES_HOST_H
#define CORDON_TEST_FILES_HOST_H

#include "tests/support/p9_client.h"
#include "vmm/policy/guard.h"

struct files_host {
	char top[64];  /* a temporary directory, with a file "secret" */
	char base[80]; /* the shared one in it */
	struct files_share share;
	struct guard *guard;
	struct p9_client client;
};

/* Where temporary directories are made: "/tmp". */
extern const char *files_host_folder;

/* policy: rules of a policy file after its first line, or NULL: all is allowed. */
void files_host_begin(struct files_host *host, const char *policy, bool read_only);
void files_host_end(struct files_host *host);

/* Another policy takes the place of the one it began with. */
void files_host_replace(struct files_host *host, const char *policy);

/* On the host: a path below the base, as "base/path" in a static buffer. */
const char *host_path(const struct files_host *host, const char *path);
void host_write(const struct files_host *host, const char *path, const char *text);
/* The contents in a static buffer, NULL if it is not there. */
const char *host_read(const struct files_host *host, const char *path);
void host_mkdir(const struct files_host *host, const char *path);
bool host_has(const struct files_host *host, const char *path);

#endif
