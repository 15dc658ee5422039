/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/vsock/vsock.h"
#include "vmm/agent/channel.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/policy/guard.h"

/* Sandbox ids in the guest's kernel: guest-kernel/agent/agent.h, SANDBOX_ID_BASE. */
#define ID_BASE 100000u

/* Moved at once between a stream and a worker. */
#define PIECE (64u << 10)

struct share_session {
	struct share_link *link;
	struct files_worker *worker;
	struct vsock_stream *stream; /* NULL: closed; the worker is ending */
	struct share_session *next;
};

/* --- sessions: bytes between the stream and the worker ---------------------------------------- */

static void close_stream(struct share_session *session)
{
	if (session->stream)
		vsock_stream_close(session->stream);
	session->stream = NULL;
}

/* The worker has ended, or everything does. */
static void session_free(struct share_session *session)
{
	struct share_link *link = session->link;
	struct share_session **at = &link->sessions;

	while (*at != session)
		at = &(*at)->next;
	*at = session->next;
	link->session_count--;
	close_stream(session);
	files_worker_destroy(session->worker);
	free(session);
}

/* The connection is over: what the worker is doing is waited for elsewhere. */
static void hang_up(struct share_session *session)
{
	close_stream(session);
	files_worker_stop(session->worker);
}

/* What the queue has no room for stays with the stream, and so the guest gets no credit for it. */
static void pump_in(struct share_session *session)
{
	static uint8_t piece[PIECE];
	size_t room;
	long n;

	while (session->stream && (room = files_worker_room(session->worker)) > 0) {
		n = vsock_stream_read(session->stream, piece, min_u64(room, sizeof(piece)));
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			hang_up(session);
			return;
		}
		files_worker_put(session->worker, piece, (size_t)n);
	}
}

static void pump_out(struct share_session *session)
{
	const void *bytes;
	size_t length;
	long n;

	while (session->stream && (length = files_worker_peek(session->worker, &bytes)) > 0) {
		n = vsock_stream_write(session->stream, bytes, length);
		if (n == -EAGAIN)
			return;
		if (n < 0) {
			hang_up(session);
			return;
		}
		files_worker_took(session->worker, (size_t)n);
	}
}

static void on_news(void *arg)
{
	struct share_session *session = arg;

	if (files_worker_ended(session->worker)) {
		if (session->stream)
			log_guest("a share's connection broke the 9P protocol and was closed");
		session_free(session);
		return;
	}
	pump_in(session);
	pump_out(session);
}

static void on_readable(void *arg)
{
	pump_in(arg);
}

static void on_writable(void *arg)
{
	pump_out(arg);
}

static void on_closed(void *arg)
{
	hang_up(arg);
}

static int on_connection(void *arg, struct vsock_stream *stream)
{
	static const struct vsock_stream_ops ops = {
		.readable = on_readable, .writable = on_writable, .closed = on_closed};
	static const struct files_worker_ops worker_ops = {.news = on_news};
	struct share_link *link = arg;
	struct share_session *session;
	int ret;

	/* A workload may connect too; only the guest's real root may bind a low port. */
	if (vsock_stream_peer_port(stream) > AGENT_SOURCE_PORT_MAX) {
		log_guest("a connection to a share from port %u was refused",
			  vsock_stream_peer_port(stream));
		return -EACCES;
	}
	if (link->session_count == FILES_SESSIONS_MAX)
		return -EBUSY;
	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	ret = files_worker_create(&session->worker, &link->share, link->shares->loop, &worker_ops,
				  session);
	if (ret < 0) {
		free(session);
		return ret;
	}
	session->link = link;
	session->stream = stream;
	session->next = link->sessions;
	link->sessions = session;
	link->session_count++;
	vsock_stream_set_ops(stream, &ops, session);
	return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

struct opening {
	struct shares *shares;
	struct guard *guard;
	struct err *err;
	int ret;
};

static void open_one(void *arg, const struct policy_share *from)
{
	struct opening *opening = arg;
	struct shares *shares = opening->shares;
	struct files_share_config config = {
		.host = from->host,
		.guest = from->guest,
		.read_only = from->read_only,
		.uid = from->uid < 0 ? 0 : (uint32_t)from->uid,
		.gid = from->gid >= 0  ? (uint32_t)from->gid
		       : from->uid < 0 ? 0
				       : (uint32_t)from->uid,
		.id_base = ID_BASE,
		.guard = opening->guard,
	};
	struct err why = {.text = ""};
	struct share_link *link;

	if (opening->ret < 0)
		return;
	if (shares->count == FILES_SHARES_MAX) {
		opening->ret =
			err_set(opening->err, E2BIG, "more than %u shares", FILES_SHARES_MAX);
		return;
	}
	link = calloc(1, sizeof(*link));
	if (!link) {
		opening->ret = err_set(opening->err, ENOMEM, "out of memory");
		return;
	}
	link->shares = shares;
	link->share.root_fd = -1;
	shares->link[shares->count++] = link;
	link->host = strdup(from->host);
	opening->ret = link->host ? files_share_open(&link->share, &config, &why) : -ENOMEM;
	if (opening->ret == 0 && !link->share.guest[0])
		opening->ret = err_set(&why, EINVAL,
				       "%s: the guest's root can't be a share: see "
				       "--rootfs",
				       from->host);
	if (opening->ret < 0)
		err_set(opening->err, -opening->ret, "share %s", why.text);
}

int shares_open_root(struct shares *shares, struct files_share_config *config, struct guard *guard,
		     struct err *err)
{
	struct err why = {.text = ""};
	struct share_link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link)
		return err_set(err, ENOMEM, "out of memory");
	config->id_base = ID_BASE;
	config->guard = guard;
	link->shares = shares;
	link->port = SHARES_ROOT_PORT;
	ret = files_share_open(&link->share, config, &why);
	if (ret < 0) {
		free(link);
		return err_set(err, -ret, "the root file system: %s", why.text);
	}
	shares->root = link;
	return 0;
}

/* A share within another one is mounted after it. */
static int by_length(const void *a, const void *b)
{
	const struct share_link *const *x = a, *const *y = b;
	size_t left = strlen((*x)->share.guest), right = strlen((*y)->share.guest);

	return (left > right) - (left < right);
}

int shares_open(struct shares *shares, struct guard *guard, struct err *err)
{
	struct opening opening = {.shares = shares, .guard = guard, .err = err};
	unsigned i;

	*shares = (struct shares){0};
	if (!guard)
		return 0;
	guard_each_share(guard, open_one, &opening);
	if (opening.ret < 0) {
		shares_close(shares);
		return opening.ret;
	}
	qsort(shares->link, shares->count, sizeof(shares->link[0]), by_length);
	for (i = 0; i < shares->count; i++)
		shares->link[i]->port = SHARES_PORT + i;
	return 0;
}

int shares_listen(struct shares *shares, struct loop *loop, struct vsock *vsock, struct err *err)
{
	unsigned i;
	int ret = 0;

	shares->loop = loop;
	for (i = 0; ret == 0 && i < shares->count; i++)
		ret = vsock_listen(vsock, shares->link[i]->port, on_connection, shares->link[i]);
	if (ret == 0 && shares->root)
		ret = vsock_listen(vsock, shares->root->port, on_connection, shares->root);
	return ret < 0 ? err_code(err, -ret, "a port for a share") : 0;
}

static void link_free(struct share_link *link)
{
	if (!link)
		return;
	while (link->sessions)
		session_free(link->sessions);
	files_share_close(&link->share);
	free(link->host);
	free(link);
}

void shares_close(struct shares *shares)
{
	while (shares->count > 0)
		link_free(shares->link[--shares->count]);
	link_free(shares->root);
	shares->root = NULL;
}

/* --- mounting --------------------------------------------------------------------------------- */

void shares_begin(struct shares *shares)
{
	shares->mounted = 0;
	shares->request = 0;
}

int shares_mount(struct shares *shares, struct agent_channel *channel, struct err *err)
{
	struct agent_mount mount = {.msize = SHARES_MSIZE};
	const struct share_link *link;

	if (shares->request > 0)
		return 1;
	if (shares->mounted == shares->count)
		return 0;
	link = shares->link[shares->mounted];
	mount.port = link->port;
	mount.path = link->share.guest;
	mount.read_only = link->share.read_only;
	mount.cache = link->share.read_only;
	shares->request = agent_channel_mount(channel, &mount);
	if (shares->request == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "the agent in the guest is too old for shares: use an initramfs of "
			       "this version");
	if (shares->request < 0)
		return err_code(err, -shares->request, "share %s", link->host);
	return 1;
}

int shares_answered(struct shares *shares, uint32_t request, int error, struct err *err)
{
	const struct share_link *link;

	if (shares->request <= 0 || request != (uint32_t)shares->request)
		return 0;
	shares->request = 0;
	link = shares->link[shares->mounted];
	switch (error) {
	case 0:
		shares->mounted++;
		return 1;
	case ENOTDIR:
	case ELOOP:
		return err_set(err, error,
			       "share %s: %s can't be made in the guest: a file or a symbolic link "
			       "is in its way",
			       link->host, link->share.guest);
	case ENODEV:
		return err_set(err, error, "share %s: the guest's kernel knows no 9P", link->host);
	default:
		return err_code(err, error, "share %s: the guest could not mount it at %s",
				link->host, link->share.guest);
	}
}
