/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: requests that wait for a lock or an operator. Their messages stay with the caller, who
 * sends them again.
 */
#include <errno.h>

#include "vmm/files/fuse_internal.h"

static struct fuse_waiting *find(struct fuse_session *session, uint64_t tag)
{
	unsigned i;

	for (i = 0; i < FUSED_WAITING_MAX; i++)
		if (session->waiting[i].used && session->waiting[i].tag == tag)
			return &session->waiting[i];
	return NULL;
}

static struct fuse_waiting *find_unused(struct fuse_session *session)
{
	unsigned i;

	for (i = 0; i < FUSED_WAITING_MAX; i++)
		if (!session->waiting[i].used)
			return &session->waiting[i];
	return NULL;
}

static void end(struct fuse_session *session, struct fuse_waiting *waiting)
{
	waiting->used = false;
	session->waits--;
}

/* Whether an INTERRUPT of this request came before it. */
static bool was_interrupted(struct fuse_session *session, uint64_t unique)
{
	unsigned i;

	for (i = 0; i < FUSE_INTERRUPTS; i++) {
		if (session->interrupts[i] == unique && unique) {
			session->interrupts[i] = 0;
			return true;
		}
	}
	return false;
}

/* Whether the owner of a lock waits, through others, for a lock of this owner. */
static bool is_deadlock(const struct fuse_session *session, uint64_t owner, uint64_t blocker)
{
	const struct fuse_waiting *waiting;
	unsigned steps, i;

	for (steps = 0; steps < FUSED_WAITING_MAX && blocker; steps++) {
		if (blocker == owner)
			return true;
		for (i = 0; i < FUSED_WAITING_MAX; i++) {
			waiting = &session->waiting[i];
			if (waiting->used && waiting->owner == blocker)
				break;
		}
		blocker = i < FUSED_WAITING_MAX ? session->waiting[i].blocker : 0;
	}
	return false;
}

int fuse_wait(struct fuse_request *request, uint64_t owner, uint64_t blocker, bool host)
{
	struct fuse_session *session = request->session;
	struct fuse_waiting *waiting;
	int ret = FUSE_REPLY_LATER;

	pthread_mutex_lock(&session->mutex);
	waiting = find(session, request->tag);
	if ((waiting && waiting->interrupted) || was_interrupted(session, request->head.unique)) {
		ret = -EINTR;
	} else if (owner && is_deadlock(session, owner, blocker)) {
		ret = -EDEADLK;
	} else if (!waiting) {
		waiting = find_unused(session);
		if (waiting) {
			*waiting = (struct fuse_waiting){.used = true,
							 .tag = request->tag,
							 .unique = request->head.unique,
							 .root = request->root->index,
							 .node = request->node,
							 .order = ++session->order};
			session->waits++;
		} else {
			ret = -ENOLCK;
		}
	}
	if (ret == FUSE_REPLY_LATER) {
		waiting->owner = owner;
		waiting->blocker = blocker;
		waiting->host = host;
		waiting->busy = false;
	}
	pthread_mutex_unlock(&session->mutex);
	return ret;
}

void fuse_wait_end(struct fuse_session *session, uint64_t tag)
{
	struct fuse_waiting *waiting;

	pthread_mutex_lock(&session->mutex);
	waiting = session->waits ? find(session, tag) : NULL;
	if (waiting)
		end(session, waiting);
	pthread_mutex_unlock(&session->mutex);
}

void fuse_session_cancel(struct fuse_session *session, uint64_t tag)
{
	fuse_wait_end(session, tag);
}

/* --- waking ----------------------------------------------------------------------------------- */

void fuse_session_wake(struct fuse_session *session, uint64_t tag)
{
	struct fuse_waiting *waiting;

	pthread_mutex_lock(&session->mutex);
	waiting = session->waits ? find(session, tag) : NULL;
	if (waiting)
		waiting->retry = true;
	pthread_mutex_unlock(&session->mutex);
}

/* node NULL: all of the root; root -1: all. */
static void wake(struct fuse_session *session, int root, const struct node *node)
{
	struct fuse_waiting *waiting;
	unsigned i;

	pthread_mutex_lock(&session->mutex);
	for (i = 0; i < FUSED_WAITING_MAX && session->waits; i++) {
		waiting = &session->waiting[i];
		if (waiting->used && (root < 0 || waiting->root == (unsigned)root) &&
		    (!node || waiting->node == node))
			waiting->retry = true;
	}
	pthread_mutex_unlock(&session->mutex);
}

void fuse_wake(struct fuse_root *root, const struct node *node)
{
	wake(root->session, (int)root->index, node);
}

void fuse_wake_all(struct fuse_session *session, int root)
{
	wake(session, root, NULL);
}

bool fuse_session_retry(struct fuse_session *session, uint64_t *tag)
{
	struct fuse_waiting *first = NULL, *waiting;
	unsigned i;

	pthread_mutex_lock(&session->mutex);
	for (i = 0; i < FUSED_WAITING_MAX && session->waits; i++) {
		waiting = &session->waiting[i];
		if (waiting->used && waiting->retry && !waiting->busy &&
		    (!first || waiting->order < first->order))
			first = waiting;
	}
	if (first) {
		first->retry = false;
		first->busy = true;
		*tag = first->tag;
	}
	pthread_mutex_unlock(&session->mutex);
	return first;
}

bool fuse_session_tick(struct fuse_session *session)
{
	bool any = false;
	unsigned i;

	pthread_mutex_lock(&session->mutex);
	for (i = 0; i < FUSED_WAITING_MAX && session->waits; i++) {
		if (session->waiting[i].used && session->waiting[i].host)
			any = session->waiting[i].retry = true;
	}
	pthread_mutex_unlock(&session->mutex);
	return any;
}

/* INTERRUPT: has no reply of its own. One that comes before its request is remembered a while. */
int fuse_interrupt(struct fuse_request *request)
{
	struct fuse_session *session = request->session;
	struct fuse_interrupt_in in;
	unsigned i;

	if (fuse_take(request, &in, sizeof(in)) < 0 || fuse_take_end(request) < 0)
		return FUSE_NO_REPLY;
	pthread_mutex_lock(&session->mutex);
	for (i = 0; i < FUSED_WAITING_MAX; i++) {
		if (session->waiting[i].used && session->waiting[i].unique == in.unique) {
			session->waiting[i].interrupted = true;
			session->waiting[i].retry = true;
			break;
		}
	}
	if (i == FUSED_WAITING_MAX)
		session->interrupts[session->next_interrupt++ % FUSE_INTERRUPTS] = in.unique;
	pthread_mutex_unlock(&session->mutex);
	return FUSE_NO_REPLY;
}
