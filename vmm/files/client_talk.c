/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a file server: messages of the socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/pack.h"
#include "vmm/base/rights.h"
#include "vmm/files/client_internal.h"
#include "vmm/policy/policy_copy.h"

#define MS_NS UINT64_C(1000000)

_Static_assert(sizeof(struct files_head) + GUARD_REPORT_MAX <= FILES_MESSAGE_MAX,
	       "a report fits into a message");

/* --- messages from the server ----------------------------------------------------------------- */

static void violated(struct files_client *client)
{
	files_client_end(client, FILES_VIOLATION);
}

void files_client_set_held(struct files_client *client, bool held)
{
	atomic_store(&client->ring->held, held);
	if (!held)
		files_ring_wake(&client->ring->held);
}

/* All first messages are in effect. */
static void begin_requests(struct files_client *client)
{
	client->started = true;
	files_client_set_held(client, client->holding);
}

/* Messages are in effect: stops or renews the patience with those that are not yet. */
static void took_effect(struct files_client *client, const struct files_head *head)
{
	if (client->replied == client->sent || head->number != client->replied + 1) {
		violated(client);
		return;
	}
	client->replied++;
	if (client->awaited && client->awaited->number == head->number)
		*client->awaited = *head;
	else if (head->error)
		files_client_end(client, "it cannot take the policy or a share");
	if (client->ending)
		return;
	if (!client->started && client->replied == client->sent)
		begin_requests(client);
	if (client->replied == client->sent)
		loop_timer_stop(client->loop, &client->patience);
	else
		loop_timer_start(client->loop, &client->patience, FILES_START_MS * MS_NS);
}

/* A thread of the server may wait for the verdict. */
static void reported(struct files_client *client, const struct files_head *head, const void *bytes,
		     size_t length)
{
	enum policy_verdict verdict;
	_Atomic uint32_t *word;

	if (!client->guard || head->value > FILES_QUEUES + 1 ||
	    guard_report(client->guard, bytes, length, &verdict) < 0) {
		violated(client);
		return;
	}
	if (head->value == 0)
		return;
	word = &client->ring->verdict[head->value - 1];
	atomic_store(word, FILES_VERDICT + (uint32_t)verdict);
	files_ring_wake(word);
}

static void take(struct files_client *client, const uint8_t *data, size_t length)
{
	struct files_head head;

	if (length < sizeof(head)) {
		violated(client);
		return;
	}
	memcpy(&head, data, sizeof(head));
	if (head.type == FILES_REPLY && length == sizeof(head))
		took_effect(client, &head);
	else if (head.type == FILES_REPORT)
		reported(client, &head, data + sizeof(head), length - sizeof(head));
	else if (head.type == FILES_ASK &&
		 files_client_asked(client, head.value, data + sizeof(head),
				    length - sizeof(head)) == 0)
		return;
	else if (head.type == FILES_WITHDRAWN && length == sizeof(head) &&
		 files_client_withdrawn(client, head.value) == 0)
		return;
	else
		violated(client);
}

bool files_client_hear(struct files_client *client, unsigned most)
{
	uint8_t data[FILES_MESSAGE_MAX];
	struct iovec part = {data, sizeof(data)};
	struct msghdr message;
	ssize_t n;

	for (; most > 0 && !client->fault; most--) {
		/* Without room for descriptors, those that come are closed by the kernel. */
		message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
		n = recvmsg(client->socket.fd, &message, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			files_client_end(client, NULL);
			return true;
		}
		if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
			violated(client);
		else
			take(client, data, (size_t)n);
	}
	return client->fault;
}

void files_client_heard(void *arg, uint32_t events)
{
	struct files_client *client = arg;

	(void)events;
	/* The rest is read in the loop's next turn: the socket stays readable. */
	files_client_hear(client, FILES_BATCH);
	/* A closed socket stays readable, too: what is left of it is read at the end. */
	if (client->ending)
		loop_remove(client->loop, &client->socket);
}

/* --- messages to the server ------------------------------------------------------------------- */

static int left_ms(uint64_t until_ns)
{
	uint64_t now = loop_now_ns();

	return now < until_ns ? (int)((until_ns - now) / MS_NS) + 1 : 0;
}

static ssize_t try_send(struct files_client *client, const void *data, size_t length, const int *fd,
			unsigned fds)
{
	struct iovec part = {(void *)(uintptr_t)data, length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct rights rights;

	rights_put(&message, &rights, fd, fds);
	return sendmsg(client->socket.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * Sends a message, with the next number. It waits for room, which a working server makes soon: it
 * takes reports meanwhile, or both would wait for each other. 0; -EPIPE; or -errno, if it could not
 * be sent for want of memory or descriptors.
 */
static int tell(struct files_client *client, struct files_head *head, size_t length, const int *fd,
		unsigned fds)
{
	const uint64_t until = loop_now_ns() + FILES_POLICY_MS * MS_NS;
	struct pollfd room = {.fd = client->socket.fd, .events = POLLOUT | POLLIN};
	ssize_t ret;

	head->number = client->sent + 1;
	for (;;) {
		ret = client->ending ? -EPIPE : try_send(client, head, length, fd, fds);
		if (ret != -EAGAIN || left_ms(until) == 0)
			break;
		poll(&room, 1, left_ms(until));
		files_client_hear(client, FILES_BATCH);
	}
	if (ret == -EAGAIN)
		files_client_end(client, "it does not take messages");
	else if (ret == -EPIPE || ret == -ECONNRESET)
		files_client_end(client, NULL);
	if (client->ending)
		return -EPIPE;
	if (ret < 0)
		return (int)ret;
	if (client->sent == client->replied)
		loop_timer_start(client->loop, &client->patience, FILES_START_MS * MS_NS);
	client->sent++;
	/* Of requests that are sent from now on. */
	atomic_store(&client->after, client->sent);
	return 0;
}

int files_client_tell(struct files_client *client, struct files_head *head)
{
	return tell(client, head, sizeof(*head), NULL, 0);
}

int files_client_converse(struct files_client *client, struct files_head *head, const int *fd,
			  unsigned fds, unsigned patience_ms)
{
	struct pollfd more = {.fd = client->socket.fd, .events = POLLIN};
	uint64_t until;
	int ret = tell(client, head, sizeof(*head), fd, fds);

	if (ret < 0)
		return ret;
	/* What was sent before takes as long as it may. */
	until = loop_now_ns() + (client->started ? patience_ms : FILES_START_MS) * MS_NS;
	client->awaited = head;
	while (!client->ending && head->type != FILES_REPLY) {
		if (left_ms(until) == 0)
			files_client_end(client, "it does not reply");
		else if (poll(&more, 1, left_ms(until)) > 0)
			/* One at a time: what is behind the reply is for later. */
			files_client_hear(client, 1);
	}
	client->awaited = NULL;
	return head->type == FILES_REPLY ? 0 : -EPIPE;
}

/* --- the policy ------------------------------------------------------------------------------- */

struct copy {
	int fd, ret;
};

static void copy_policy(void *arg, const struct policy *policy)
{
	struct copy *copy = arg;

	copy->ret = policy_copy_write(policy, POLICY_COPY_WHOLE, &copy->fd);
}

static int policy_message(struct files_client *client, struct files_head *head, int *fd)
{
	struct copy copy = {.fd = -1};

	guard_with_policy(client->guard, copy_policy, &copy);
	*head = (struct files_head){.type = FILES_POLICY,
				    .value = guard_version(client->guard),
				    .flag = guard_reports_wanted(client->guard)};
	*fd = copy.fd;
	client->policy = head->value;
	return copy.ret;
}

int files_client_limit(struct files_client *client, uint64_t bytes_max, uint64_t files_max)
{
	struct files_limit limit = {
		.head = {.type = FILES_LIMIT}, .bytes = bytes_max, .files = files_max};

	return tell(client, &limit.head, sizeof(limit), NULL, 0);
}

int files_client_greet(struct files_client *client)
{
	struct files_head head = {.type = FILES_HELLO, .value = client->guard != NULL};
	const int fds[] = {client->ring_fd, client->signal.fd};
	int ret = tell(client, &head, sizeof(head), fds, ARRAY_SIZE(fds)), fd = -1;

	fd_close(&client->ring_fd);
	if (ret < 0 || !client->guard)
		return ret;
	ret = policy_message(client, &head, &fd);
	if (ret == 0)
		ret = tell(client, &head, sizeof(head), &fd, 1);
	fd_close(&fd);
	return ret;
}

/*
 * A server that can't be given the policy is ended: it would go on with its former one. One that
 * has not started is held: it decides nothing before all that was sent is in effect, so there is
 * nothing to wait for.
 */
void files_client_follow(void *arg)
{
	struct files_client *client = arg;
	struct files_head head;
	int fd = -1, ret = 0;

	if (client->ending)
		return;
	ret = policy_message(client, &head, &fd);
	if (ret == 0)
		ret = client->started
			      ? files_client_converse(client, &head, &fd, 1, FILES_POLICY_MS)
			      : tell(client, &head, sizeof(head), &fd, 1);
	fd_close(&fd);
	if (ret < 0 || head.error)
		files_client_end(client, "it did not take the new policy");
}

/* --- roots ------------------------------------------------------------------------------------ */

int files_client_add(struct files_client *client, unsigned number, const struct files_share *share,
		     enum fused_cache cache)
{
	struct files_add add = {
		.head = {.type = FILES_ADD},
		.number = number,
		.cache = cache,
		.uid = share->uid,
		.gid = share->gid,
		.id_base = share->id_base,
		.host_uid = share->host_uid,
		.host_gid = share->host_gid,
		.read_only = share->read_only,
		.rootfs = share->rootfs,
		.host_root = share->host_root,
		.remember = share->remember,
		.quiet_close = share->quiet_close,
	};
	uint64_t bit = UINT64_C(1) << number % 64;
	int ret;

	if (number > FILES_SHARES_MAX)
		return -EINVAL;
	if (client->added[number / 64] & bit)
		return -EEXIST;
	if (client->begun)
		return -EBUSY;
	memcpy(add.guest, share->guest, sizeof(add.guest));
	ret = tell(client, &add.head, sizeof(add), &share->root_fd, 1);
	if (ret < 0)
		return ret;
	atomic_fetch_or(&client->added[number / 64], bit);
	return 0;
}

void files_client_begin(struct files_client *client)
{
	struct files_head head = {.type = FILES_BEGIN};

	if (client->begun)
		return;
	client->begun = true;
	if (tell(client, &head, sizeof(head), NULL, 0) < 0)
		files_client_end(client, "it could not be confined");
}

bool files_client_started(const struct files_client *client)
{
	return client->started && !client->ending;
}

void files_client_stats(const struct files_client *client, struct fuse_session_stats *out)
{
	const struct files_ring *ring = client->ring;

	*out = (struct fuse_session_stats){
		.requests = atomic_load(&ring->requests),
		.refused = atomic_load(&ring->refused),
		.nodes = atomic_load(&ring->nodes),
		.open = atomic_load(&ring->open),
		.locks = atomic_load(&ring->locks),
		.waiting = atomic_load(&ring->waiting),
	};
}
