/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small FUSE client of a session in this process, or of another server: it sends what a guest's
 * kernel sends, and what it never sends. Calls return 0, the errno value of the server's reply, or
 * one of FC_ below. All paths begin in the root that is called "0".
 */
#ifndef CORDON_TEST_FUSE_CLIENT_H
#define CORDON_TEST_FUSE_CLIENT_H

#include <linux/fuse.h>
#include <stdbool.h>

#include "vmm/base/pack.h"
#include "vmm/files/fuse.h"
#include "vmm/files/fuse_wire.h"

#define FC_BROKEN (-1) /* the reply is none */
#define FC_NONE	  (-2) /* there is none */
#define FC_LATER  (-3)

struct fuse_client {
	struct fuse_session *session;
	/* Instead of the session: as fuse_session_handle(), with arg. */
	ssize_t (*handle)(void *arg, const void *in, size_t length, void *out, size_t room);
	void *arg;
	uint64_t unique;   /* of the last request, which is its tag too */
	uint64_t root;	   /* node of "0" */
	uint32_t uid, gid; /* of the process that requests */
	size_t room;	   /* for replies; 0: as much as there is */
	size_t length;	   /* of the message so far */
	struct unpack in;  /* the reply's body */
	uint8_t message[FUSED_MESSAGE_MAX], reply[FUSED_MESSAGE_MAX];
};

/* Builds a message field by field, and sends it. */
void fc_begin(struct fuse_client *client, uint32_t opcode, uint64_t node);
void fc_bytes(struct fuse_client *client, const void *bytes, size_t length);
void fc_string(struct fuse_client *client, const char *text); /* with its zero byte */
int fc_send(struct fuse_client *client);
/* Sends it again as it is, for a request that waits. */
int fc_again(struct fuse_client *client);
/* A request whose body has just these bytes. */
int fc_call(struct fuse_client *client, uint32_t opcode, uint64_t node, const void *body,
	    size_t length);
/* Takes the reply's body as one structure of this size: 0 or FC_BROKEN. */
int fc_take(struct fuse_client *client, void *to, size_t size);

int fc_init(struct fuse_client *client, uint64_t flags, struct fuse_init_out *out);
int fc_lookup(struct fuse_client *client, uint64_t parent, const char *name,
	      struct fuse_entry_out *out);
int fc_forget(struct fuse_client *client, uint64_t node, uint64_t lookups);
int fc_getattr(struct fuse_client *client, uint64_t node, struct fuse_attr *out);
/* valid: FATTR_; the time of both is 1000 s and 7 ns if it is set. */
int fc_setattr(struct fuse_client *client, uint64_t node, uint32_t valid, uint32_t mode,
	       uint64_t size);
int fc_open(struct fuse_client *client, uint64_t node, uint32_t flags, struct fuse_open_out *out);
int fc_opendir(struct fuse_client *client, uint64_t node, uint64_t *fh);
int fc_create(struct fuse_client *client, uint64_t parent, const char *name, uint32_t flags,
	      uint32_t mode, uint64_t *node, uint64_t *fh);
int fc_release(struct fuse_client *client, uint64_t node, uint64_t fh);
int fc_flush(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t owner);
int fc_read(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size,
	    void *to, size_t *n);
int fc_write(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t offset,
	     const void *from, size_t length, uint32_t flags);
int fc_mkdir(struct fuse_client *client, uint64_t parent, const char *name, uint32_t mode);
int fc_mknod(struct fuse_client *client, uint64_t parent, const char *name, uint32_t mode);
int fc_symlink(struct fuse_client *client, uint64_t parent, const char *name, const char *target);
int fc_link(struct fuse_client *client, uint64_t parent, const char *name, uint64_t node);
int fc_rename(struct fuse_client *client, uint64_t from, const char *name, uint64_t to,
	      const char *to_name, uint32_t flags);
int fc_unlink(struct fuse_client *client, uint64_t parent, const char *name);
int fc_rmdir(struct fuse_client *client, uint64_t parent, const char *name);
int fc_readlink(struct fuse_client *client, uint64_t node, char *to, size_t size);
/*
 * Reads all names of the open directory, size bytes at a time, each followed by '\n'. *told: how
 * many came with a node (READDIRPLUS); NULL: READDIR.
 */
int fc_list(struct fuse_client *client, uint64_t node, uint64_t fh, uint32_t size, char *to,
	    size_t room, unsigned *told);
/* type: F_RDLCK, F_WRLCK, F_UNLCK; flags: FUSE_LK_FLOCK; opcode: FUSE_SETLK, FUSE_SETLKW. */
int fc_lock(struct fuse_client *client, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t owner,
	    int type, uint64_t start, uint64_t end, uint32_t flags);
int fc_getlk(struct fuse_client *client, uint64_t node, uint64_t fh, uint64_t owner, int type,
	     struct fuse_file_lock *out);
int fc_set_xattr(struct fuse_client *client, uint64_t node, const char *name, const void *value,
		 size_t length, uint32_t flags);
/* size 0: *n is its length. */
int fc_get_xattr(struct fuse_client *client, uint64_t node, const char *name, void *value,
		 uint32_t size, size_t *n);
int fc_list_xattr(struct fuse_client *client, uint64_t node, void *names, uint32_t size, size_t *n);

/* --- combined calls: look each name up, do it, close ------------------------------------------ */

/* Names separated by '/', sent as they are; "" is the root. */
int fc_go(struct fuse_client *client, const char *path, uint64_t *node);
int fc_walk(struct fuse_client *client, uint64_t from, const char *path, uint64_t *node);
/* Reads the first bytes of a file as a string. */
int fc_cat(struct fuse_client *client, const char *path, char *to, size_t size);
int fc_try_open(struct fuse_client *client, const char *path, uint32_t flags);
int fc_stat(struct fuse_client *client, const char *path, struct fuse_attr *out);
int fc_ls(struct fuse_client *client, const char *path, char *to, size_t size);

#endif
