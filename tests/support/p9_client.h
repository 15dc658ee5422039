/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small 9P2000.L client of a session in this process: it sends what a guest's kernel sends, and
 * what it never sends. Calls return 0, the errno value of the server's reply, or -1 if the server
 * has ended the session.
 */
#ifndef CORDON_TEST_P9_CLIENT_H
#define CORDON_TEST_P9_CLIENT_H

#include <stdbool.h>

#include "vmm/base/pack.h"
#include "vmm/files/files.h"
#include "vmm/files/wire.h"

#define P9C_ROOT 1u /* the fid that p9c_attach() makes */

struct p9_client {
	struct files_session *session;
	uint16_t tag;
	size_t length;	  /* of the message so far */
	struct unpack in; /* the reply's body */
	uint8_t message[FILES_MSIZE_MAX], reply[FILES_MSIZE_MAX];
};

struct p9_attributes {
	uint8_t type; /* of the qid */
	uint64_t path, nlink, rdev, size, blocks;
	uint32_t mode, uid, gid;
	int64_t mtime;
};

/* Builds a message field by field, and sends it. */
void p9c_begin(struct p9_client *client, uint8_t type);
void p9c_u8(struct p9_client *client, uint8_t value);
void p9c_u16(struct p9_client *client, uint16_t value);
void p9c_u32(struct p9_client *client, uint32_t value);
void p9c_u64(struct p9_client *client, uint64_t value);
void p9c_string(struct p9_client *client, const char *text);
void p9c_bytes(struct p9_client *client, const void *bytes, size_t length);
int p9c_send(struct p9_client *client);

int p9c_version(struct p9_client *client, uint32_t msize, const char *version);
int p9c_attach(struct p9_client *client, uint32_t fid);
/* path: names separated by '/', sent as they are; "" clones. *done: names walked, or NULL. */
int p9c_walk(struct p9_client *client, uint32_t fid, uint32_t newfid, const char *path,
	     unsigned *done);
int p9c_clunk(struct p9_client *client, uint32_t fid);
int p9c_open(struct p9_client *client, uint32_t fid, uint32_t flags);
int p9c_create(struct p9_client *client, uint32_t fid, const char *name, uint32_t flags,
	       uint32_t mode);
/* *n: bytes read or written. */
int p9c_read(struct p9_client *client, uint32_t fid, uint64_t offset, uint32_t count, void *to,
	     size_t *n);
int p9c_write(struct p9_client *client, uint32_t fid, uint64_t offset, const void *from,
	      size_t length, size_t *n);
int p9c_getattr(struct p9_client *client, uint32_t fid, struct p9_attributes *out);
int p9c_setattr(struct p9_client *client, uint32_t fid, uint32_t valid, uint32_t mode,
		uint64_t size);
int p9c_mkdir(struct p9_client *client, uint32_t fid, const char *name, uint32_t mode);
int p9c_symlink(struct p9_client *client, uint32_t fid, const char *name, const char *target);
int p9c_link(struct p9_client *client, uint32_t directory, uint32_t fid, const char *name);
int p9c_rename(struct p9_client *client, uint32_t fid, uint32_t directory, const char *name);
int p9c_renameat(struct p9_client *client, uint32_t from, const char *old, uint32_t to,
		 const char *name);
int p9c_unlink(struct p9_client *client, uint32_t fid, const char *name, uint32_t flags);
int p9c_remove(struct p9_client *client, uint32_t fid);
int p9c_readlink(struct p9_client *client, uint32_t fid, char *to, size_t size);
/* Reads all names of the open directory, count bytes at a time, each followed by '\n'. */
int p9c_list(struct p9_client *client, uint32_t fid, uint32_t count, char *to, size_t size);

/* --- combined calls: walk from the root, do it, clunk ----------------------------------------- */

/* Reads the first bytes of a file as a string. */
int p9c_cat(struct p9_client *client, const char *path, char *to, size_t size);
/* Opens and clunks. */
int p9c_try_open(struct p9_client *client, const char *path, uint32_t flags);
int p9c_stat(struct p9_client *client, const char *path, struct p9_attributes *out);
int p9c_ls(struct p9_client *client, const char *path, char *to, size_t size);
/* Walks to a directory; newfid then stands for it. */
int p9c_go(struct p9_client *client, const char *path, uint32_t newfid);

#endif
