/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: the requests about the session itself, and what the guest forgets. */
#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/files/fuse_internal.h"

#define PAGE_SIZE 4096u
/*
 * Reads ahead and the like that the guest's kernel sends at a time, for all roots together: as many
 * as it can count, or those of a root whose host hangs would hold up the other ones'.
 */
#define MAX_BACKGROUND UINT16_MAX

/* fuse.h says why these, and why not others. */
static const uint64_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			       FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
			       FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
			       FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT |
			       FUSED_DIRECT_IO_ALLOW_MMAP | FUSED_NO_EXPORT_SUPPORT;
/* Locks belong to open files. */
static const uint64_t locks = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
/* Not flags to reply with: they say that ENOSYS is understood. */
static const uint64_t no_open = FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT;

/* The first fields are as old as the protocol, the rest comes with FUSE_INIT_EXT. */
static int take_init(struct fuse_request *request, struct fuse_init_in *in)
{
	const size_t old = offsetof(struct fuse_init_in, flags2);
	int ret;

	*in = (struct fuse_init_in){.major = 0};
	ret = fuse_take(request, in, old);
	if (ret == 0 && in->major == FUSE_KERNEL_VERSION && (in->flags & FUSE_INIT_EXT))
		ret = fuse_take(request, (uint8_t *)in + old, sizeof(*in) - old);
	return ret;
}

/* INIT: starts the session anew. */
int fuse_init(struct fuse_request *request)
{
	struct fuse_session *session = request->session;
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSED_MINOR};
	struct fuse_init_in in;
	uint64_t offered, flags = wanted;
	int ret = take_init(request, &in);

	if (ret < 0)
		return ret;
	/* A newer kernel tries again with our version. */
	if (in.major > FUSE_KERNEL_VERSION) {
		fuse_put(request, &out, sizeof(out));
		return 0;
	}
	ret = fuse_take_end(request);
	if (ret < 0)
		return ret;
	if (in.major < FUSE_KERNEL_VERSION || in.minor < FUSED_MINOR_MIN)
		return -EPROTO;
	offered = (uint64_t)in.flags2 << 32 | in.flags;
	if (session->config.no_open && (offered & no_open) != no_open)
		return -EPROTO;
	if (!session->config.no_open)
		flags |= locks;
	flags &= offered;
	fuse_session_reset(session);
	out.minor = (uint32_t)min_u64(in.minor, FUSED_MINOR);
	out.max_readahead = (uint32_t)min_u64(in.max_readahead, FUSED_DATA_MAX);
	out.flags = (uint32_t)flags;
	out.flags2 = (uint32_t)(flags >> 32);
	out.max_background = MAX_BACKGROUND;
	out.congestion_threshold = MAX_BACKGROUND;
	out.max_write = session->config.max_write;
	out.max_pages = (uint16_t)(session->config.max_write / PAGE_SIZE);
	out.time_gran = 1;
	fuse_put(request, &out, sizeof(out));
	session->begun = true;
	return 0;
}

/* DESTROY: the guest has unmounted it. Another INIT may follow. */
int fuse_destroy(struct fuse_request *request)
{
	request->session->begun = false;
	fuse_session_reset(request->session);
	return 0;
}

/* --- forgetting ------------------------------------------------------------------------------- */

static void forget(struct fuse_session *session, uint64_t number, uint64_t lookups)
{
	uint64_t index = FUSE_NUMBER_ROOT(number);

	if (index == 0 || index > FUSED_ROOTS_MAX)
		return;
	fuse_node_forget(&session->roots[index - 1], number, lookups);
}

/* FORGET: the header's node. */
int fuse_forget(struct fuse_request *request)
{
	struct fuse_forget_in in;

	if (fuse_take(request, &in, sizeof(in)) == 0 && fuse_take_end(request) == 0)
		forget(request->session, request->head.nodeid, in.nlookup);
	return FUSE_NO_REPLY;
}

/* BATCH_FORGET: all of it or, if its length is not that of its count, nothing. */
int fuse_batch_forget(struct fuse_request *request)
{
	struct fuse_batch_forget_in in;
	struct fuse_forget_one one;
	uint32_t i;

	if (fuse_take(request, &in, sizeof(in)) < 0 || in.count > FUSED_FORGETS_MAX ||
	    unpack_left(&request->in) != in.count * sizeof(one))
		return FUSE_NO_REPLY;
	for (i = 0; i < in.count && fuse_take(request, &one, sizeof(one)) == 0; i++)
		forget(request->session, one.nodeid, one.nlookup);
	return FUSE_NO_REPLY;
}
