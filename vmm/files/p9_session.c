/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: sessions. Framing, the table of requests, and the requests about the session itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/files/p9.h"

#define NOBODY 65534

int files_session_create(struct files_session **out, struct files_share *share)
{
	struct files_session *session = calloc(1, sizeof(*session));

	*out = session;
	if (!session)
		return -ENOMEM;
	session->msize = FILES_MSIZE_MAX;
	session->usage.nodes_max = FILES_NODES_MAX;
	session->usage.open_max = FILES_OPEN_MAX;
	if (tree_begin(&session->tree, share, &session->usage) < 0) {
		files_session_destroy(session);
		*out = NULL;
		return -ENOMEM;
	}
	return 0;
}

/*
 * Uses system calls, which affect this thread alone: libc would change all threads of the process.
 * Without root's file system ids the thread also loses the capabilities that override permissions.
 */
int files_session_enter(const struct files_session *session)
{
	if (!session->tree.share->host_root || geteuid() != 0)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) < 0)
		return -errno;
	setfsgid(NOBODY);
	setfsuid(NOBODY);
	/* setfsuid() and setfsgid() don't report errors, but return the previous id. */
	return setfsgid(-1) == NOBODY && setfsuid(-1) == NOBODY ? 0 : -EPERM;
}

void files_session_destroy(struct files_session *session)
{
	if (!session)
		return;
	fid_free_all(session);
	tree_end(&session->tree);
	free(session);
}

uint32_t files_session_msize(const struct files_session *session)
{
	return session->msize;
}

void files_session_stats(const struct files_session *session, struct files_stats *out)
{
	*out = session->stats;
	out->fids = session->fid_count;
	out->nodes = session->usage.nodes;
	out->open = session->usage.open;
	out->refused = session->usage.refused;
}

/* --- requests about the session --------------------------------------------------------------- */

/* Tversion: msize32 version[s]. Starts the session anew: all fids are gone. */
static int p9_version(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	char version[32];
	uint32_t msize = unpack_u32(in);
	size_t length;
	int ret = take_string(in, version, sizeof(version), &length);

	if (ret < 0 && ret != -ENAMETOOLONG)
		return ret;
	if (!unpack_done(in))
		return -EPROTO;
	if (msize < FILES_MSIZE_MIN)
		return -EMSGSIZE;
	fid_free_all(session);
	session->versioned = ret == 0 && strcmp(version, P9_VERSION) == 0;
	msize = (uint32_t)min_u64(msize, FILES_MSIZE_MAX);
	reply_u32(out, msize);
	if (session->versioned) {
		session->msize = msize;
		reply_string(out, P9_VERSION, strlen(P9_VERSION));
	} else {
		reply_string(out, "unknown", strlen("unknown"));
	}
	return 0;
}

/* Tflush: oldtag16. Requests are handled in order: the old one has its reply already. */
static int p9_flush(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	(void)session;
	(void)out;
	unpack_u16(in);
	return unpack_done(in) ? 0 : -EPROTO;
}

/* Tclunk: fid32. The fid is gone, even if the request fails. */
static int p9_clunk(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	struct fid *fid = take_fid(session, in);

	(void)out;
	if (!unpack_done(in))
		return -EPROTO;
	return fid ? fid_free(session, fid) : -EBADF;
}

/* Tauth: refused. The monitor knows the client by its connection. */
static int p9_auth(struct files_session *session, struct unpack *in, struct p9_reply *out)
{
	(void)session;
	(void)in;
	(void)out;
	return -EOPNOTSUPP;
}

static const p9_handler handlers[P9_TYPES] = {
	[P9_TSTATFS] = p9_statfs,
	[P9_TLOPEN] = p9_lopen,
	[P9_TLCREATE] = p9_lcreate,
	[P9_TSYMLINK] = p9_symlink,
	[P9_TMKNOD] = p9_mknod,
	[P9_TRENAME] = p9_rename,
	[P9_TREADLINK] = p9_readlink,
	[P9_TGETATTR] = p9_getattr,
	[P9_TSETATTR] = p9_setattr,
	[P9_TXATTRWALK] = p9_xattrwalk,
	[P9_TXATTRCREATE] = p9_xattrcreate,
	[P9_TREADDIR] = p9_readdir,
	[P9_TFSYNC] = p9_fsync,
	[P9_TLOCK] = p9_lock,
	[P9_TGETLOCK] = p9_getlock,
	[P9_TLINK] = p9_link,
	[P9_TMKDIR] = p9_mkdir,
	[P9_TRENAMEAT] = p9_renameat,
	[P9_TUNLINKAT] = p9_unlinkat,
	[P9_TVERSION] = p9_version,
	[P9_TAUTH] = p9_auth,
	[P9_TATTACH] = p9_attach,
	[P9_TFLUSH] = p9_flush,
	[P9_TWALK] = p9_walk,
	[P9_TREAD] = p9_read,
	[P9_TWRITE] = p9_write,
	[P9_TCLUNK] = p9_clunk,
	[P9_TREMOVE] = p9_remove,
};

static int dispatch(struct files_session *session, uint8_t type, struct unpack *in,
		    struct p9_reply *out)
{
	p9_handler handler = type < P9_TYPES ? handlers[type] : NULL;
	int ret;

	if (!handler)
		return -EOPNOTSUPP;
	if (!session->versioned && type != P9_TVERSION)
		return -EPROTO;
	ret = handler(session, in, out);
	return ret == 0 && out->failed ? -EMSGSIZE : ret;
}

ssize_t files_session_handle(struct files_session *session, const uint8_t *message, size_t length,
			     uint8_t *reply)
{
	struct p9_reply out = {.data = reply, .at = P9_HEADER_SIZE, .size = session->msize};
	struct unpack in = {.data = message, .length = length, .at = P9_HEADER_SIZE};
	uint8_t type;
	int ret;

	if (length < P9_HEADER_SIZE || length > session->msize || load_le32(message) != length)
		return -EPROTO;
	session->stats.requests++;
	type = message[4];
	ret = dispatch(session, type, &in, &out);
	if (ret < 0) {
		out.at = P9_HEADER_SIZE;
		out.failed = false;
		reply_u32(&out, (uint32_t)-ret);
		type = P9_RLERROR - 1;
	}
	store_le32(reply, (uint32_t)out.at);
	reply[4] = (uint8_t)(type + 1);
	memcpy(reply + 5, message + 5, 2);
	return (ssize_t)out.at;
}

void put_qid(struct p9_reply *reply, const struct stat *stat, uint64_t path)
{
	reply_u8(reply, S_ISDIR(stat->st_mode)	 ? P9_QID_DIR
			: S_ISLNK(stat->st_mode) ? P9_QID_SYMLINK
						 : P9_QID_FILE);
	reply_u32(reply, (uint32_t)stat->st_mtim.tv_sec ^ (uint32_t)stat->st_mtim.tv_nsec);
	reply_u64(reply, path);
}

void reply_qid(struct p9_reply *reply, const struct stat *stat)
{
	put_qid(reply, stat, op_ino(stat->st_dev, stat->st_ino));
}
