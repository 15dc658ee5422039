/* SPDX-License-Identifier: Apache-2.0 */
/* Moves bytes between a connection of the guest and the file server's session behind it. */
#include "vmm/sandbox/share_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/vsock/vsock.h"
#include "vmm/agent/channel.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/machine/snapshot_format.h"

/* Bytes moved at a time between a stream and a worker. */
#define CHUNK (64u << 10)

struct share_session {
	struct share_link *link;
	struct files_worker *worker;
	struct vsock_stream *stream; /* NULL: closed; the worker is ending */
	uint32_t port; /* the host's: the link's, or that of the link in the snapshot */
	struct share_session *next;
};

static void close_stream(struct share_session *session)
{
	if (session->stream)
		vsock_stream_close(session->stream);
	session->stream = NULL;
}

/* The worker has ended, or the sandbox ends. */
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

/* The connection is over. on_news() frees the session when the worker has ended. */
static void hang_up(struct share_session *session)
{
	close_stream(session);
	files_worker_stop(session->worker);
}

/*
 * Bytes for which the queue has no room stay in the stream, so the guest gets no credit for them.
 */
static void pump_in(struct share_session *session)
{
	static uint8_t chunk[CHUNK];
	size_t room;
	long n;

	while (session->stream && (room = files_worker_room(session->worker)) > 0) {
		n = vsock_stream_read(session->stream, chunk, min_u64(room, sizeof(chunk)));
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			hang_up(session);
			return;
		}
		files_worker_put(session->worker, chunk, (size_t)n);
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

void share_sessions_free(struct share_link *link)
{
	while (link->sessions)
		session_free(link->sessions);
}

static const struct vsock_stream_ops stream_ops = {
	.readable = on_readable, .writable = on_writable, .closed = on_closed};
static const struct files_worker_ops worker_ops = {.news = on_news};

static struct share_session *session_new(struct share_link *link)
{
	struct share_session *session = calloc(1, sizeof(*session));

	if (session) {
		session->link = link;
		session->port = link->port;
	}
	return session;
}

static void session_add(struct share_session *session)
{
	struct share_link *link = session->link;

	session->next = link->sessions;
	link->sessions = session;
	link->session_count++;
}

int share_session_accept(void *arg, struct vsock_stream *stream)
{
	struct share_link *link = arg;
	struct share_session *session;
	int ret;

	/* A workload may connect too, but only guest root may bind a low source port. */
	if (vsock_stream_peer_port(stream) > AGENT_SOURCE_PORT_MAX) {
		log_guest("a connection to a share from port %u was refused",
			  vsock_stream_peer_port(stream));
		return -EACCES;
	}
	if (link->session_count == FILES_SESSIONS_MAX)
		return -EBUSY;
	session = session_new(link);
	if (!session)
		return -ENOMEM;
	ret = files_worker_create(&session->worker, &link->share, link->shares->loop, &worker_ops,
				  session);
	if (ret < 0) {
		free(session);
		return ret;
	}
	session->stream = stream;
	session_add(session);
	vsock_stream_set_ops(stream, &stream_ops, session);
	return 0;
}

/* --- snapshots -------------------------------------------------------------------------------- */

void share_sessions_hold(struct share_link *link, bool held)
{
	struct share_session *session;

	for (session = link->sessions; session; session = session->next)
		files_worker_hold(session->worker, held);
}

bool share_sessions_busy(const struct share_link *link)
{
	const struct share_session *session;

	for (session = link->sessions; session; session = session->next)
		if (!files_worker_idle(session->worker))
			return true;
	return false;
}

/*
 * The stream is saved last: a saved stream is not among those that the restore resets. 0;
 * -ESHUTDOWN: the session cannot go on; -EBUSY.
 */
static int save_session(struct share_session *session, struct pack *to)
{
	const struct share_link *link = session->link;
	int ret;

	if (!session->stream)
		return -ESHUTDOWN;
	pack_u32(to, session->port);
	pack_u32(to, vsock_stream_peer_port(session->stream));
	pack_u8(to, link->share.read_only);
	pack_text(to, link->share.guest);
	pack_text(to, link->host);
	ret = files_worker_save(session->worker, 0, to);
	return ret == 0 && !vsock_stream_save(session->stream, to) ? -ESHUTDOWN : ret;
}

int share_sessions_save(struct share_link *link, uint32_t *number, struct pack *state)
{
	struct share_session *session;
	struct pack payload;
	int ret = 0;

	for (session = link->sessions; ret == 0 && session; session = session->next) {
		/*
		 * Bounded here: else a session too large for the file would first take memory
		 * twice.
		 */
		payload = (struct pack){.limit = SNAPSHOT_STATE_MAX - state->length};
		ret = save_session(session, &payload);
		if (ret == 0 && payload.failed)
			ret = -E2BIG;
		if (ret == 0)
			snapshot_add_section(state, SHARES_SECTION_SESSION, (*number)++, &payload);
		else if (ret == -ESHUTDOWN)
			ret = 0;
		pack_free(&payload);
		if (ret == 0 && state->length >= SNAPSHOT_STATE_MAX)
			ret = -E2BIG;
	}
	return ret;
}

int share_saved_parse(struct share_saved *saved, struct unpack *from)
{
	saved->port = unpack_u32(from);
	saved->guest_port = unpack_u32(from);
	saved->read_only = unpack_u8(from) != 0;
	unpack_text(from, saved->guest, sizeof(saved->guest));
	unpack_text(from, saved->host, sizeof(saved->host));
	if (from->failed || saved->port < SHARES_ROOT_PORT ||
	    saved->port >= SHARES_PORT + FILES_SHARES_MAX)
		return -EINVAL;
	return 0;
}

int share_session_restore(struct share_link *link, struct vsock *vsock, uint32_t port,
			  struct unpack *from)
{
	struct share_session *session = session_new(link);
	int ret;

	if (!session)
		return -ENOMEM;
	session->port = port;
	session_add(session);
	ret = link->session_count > FILES_SESSIONS_MAX
		      ? -EINVAL
		      : files_worker_restore(&session->worker, &link->share, link->shares->loop,
					     &worker_ops, session, from);
	if (ret == 0)
		ret = vsock_stream_restore(vsock, port, from, &stream_ops, session,
					   &session->stream);
	if (ret == 0 && !unpack_done(from))
		ret = -EINVAL;
	if (ret < 0)
		session_free(session);
	link->kept |= ret == 0;
	return ret;
}
