/* SPDX-License-Identifier: Apache-2.0 */
/* The file server's process: its life, and messages of the monitor. */
#include "vmm/files/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/exit_status.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/pack.h"
#include "vmm/base/rights.h"
#include "vmm/files/server_internal.h"
#include "vmm/policy/policy_copy.h"

/* --- messages --------------------------------------------------------------------------------- */

struct message {
	union {
		struct files_head head;
		struct files_limit limit;
		struct files_add add;
	};
	size_t length;
	int fd[2];
	struct files_head reply;
};

/* The threads of lanes that are no root's. */
static int start_common(struct files_server *server)
{
	int ret = files_queue_start(server, 0);

	return ret < 0 ? ret : files_queue_start(server, FILES_LANE_ALL);
}

static int take_hello(struct files_server *server, struct message *message)
{
	int ret;

	if (server->greeted || message->fd[1] < 0)
		return -EINVAL;
	ret = files_ring_map(&server->ring, message->fd[0]);
	if (ret < 0)
		return ret;
	server->greeted = true;
	server->signal_fd = message->fd[1];
	message->fd[1] = -1;
	server->guarded = message->head.value != 0;
	return server->guarded ? 0 : start_common(server);
}

static int take_policy(struct files_server *server, struct message *message)
{
	enum guard_reports wanted =
		message->head.flag == GUARD_REPORTS_ALL ? GUARD_REPORTS_ALL : GUARD_REPORTS_DENIALS;
	struct guard_remote remote = files_reports;
	struct policy *policy;
	int ret;

	if (!server->greeted || !server->guarded)
		return -EINVAL;
	ret = policy_copy_read(message->fd[0], &policy);
	if (ret < 0)
		return ret;
	if (server->guard) {
		ret = guard_replace_remote(server->guard, policy, message->head.value, wanted);
		files_ask_anew(server);
		return ret;
	}
	remote.arg = server;
	ret = guard_create_remote(&server->guard, policy, message->head.value, wanted, &remote);
	/* Nothing is handled before there is a policy. */
	return ret < 0 ? ret : start_common(server);
}

static int take_limit(struct files_server *server, struct message *message)
{
	const struct files_limit *limit = &message->limit;

	if (!server->limited && server->shares > 0)
		return -EINVAL;
	if (!server->limited)
		files_quota_begin(&server->quota, limit->bytes, limit->files);
	server->limited = true;
	atomic_store(&server->quota.bytes_max, limit->bytes);
	atomic_store(&server->quota.files_max, limit->files);
	return 0;
}

static int take_add(struct files_server *server, struct message *message)
{
	const struct files_add *add = &message->add;
	struct files_share *share = &server->share[server->shares];
	char name[16];
	int ret;

	if (!server->greeted || server->guarded != (server->guard != NULL) ||
	    server->shares == FUSED_ROOTS_MAX || add->number > FILES_SHARES_MAX ||
	    add->cache > FUSED_NONE || !memchr(add->guest, '\0', sizeof(add->guest)))
		return -EINVAL;
	*share = (struct files_share){
		.root_fd = message->fd[0],
		.read_only = add->read_only,
		.quiet_close = add->quiet_close,
		.rootfs = add->rootfs,
		.host_root = add->host_root,
		.remember = add->remember,
		.uid = add->uid,
		.gid = add->gid,
		.id_base = add->id_base,
		.host_uid = add->host_uid,
		.host_gid = add->host_gid,
		.guard = server->guard,
		.quota = server->limited ? &server->quota : NULL,
	};
	memcpy(share->guest, add->guest, sizeof(share->guest));
	snprintf(name, sizeof(name), "%u", add->number);
	/* The guest's numbers have the place: one that is not used again means no other root. */
	ret = fuse_session_add_at(server->session, add->number, name, share,
				  (enum fused_cache)add->cache);
	if (ret < 0)
		return ret;
	message->fd[0] = -1;
	server->shares++;
	return files_queue_start(server, add->number + 1);
}

/* A kernel that could not keep a directory apart from others is not relied upon. */
static int take_begin(struct files_server *server, struct message *message)
{
	struct jail_landlock *landlock = &server->landlock;
	unsigned i;
	int ret = 0;

	(void)message;
	jail_landlock_create(landlock);
	if (landlock->fd < 0 || landlock->version < JAIL_LANDLOCK_WHOLE)
		return 0;
	for (i = 0; i < server->shares && ret == 0; i++)
		ret = jail_landlock_permit(landlock, server->share[i].root_fd,
					   server->share[i].read_only ? JAIL_READ
								      : JAIL_READ | JAIL_WRITE);
	if (ret == 0 && jail_landlock_restrict(landlock) == 0)
		atomic_store(&server->confine, true);
	return 0;
}

static int take_save(struct files_server *server, struct message *message)
{
	struct pack pack = {.limit = FILES_SAVED_MAX};
	int ret = server->greeted ? files_queue_quiet(server, FILES_QUIET_MS) : -EINVAL;

	if (ret < 0)
		return ret;
	fuse_session_save(server->session, &pack);
	if (pack.failed)
		ret = pack.length > FILES_SAVED_MAX / 2 ? -EFBIG : -ENOMEM;
	if (ret == 0)
		ret = fd_write_full(message->fd[0], pack.data, pack.length);
	message->reply.value = pack.length;
	pack_free(&pack);
	return ret;
}

static int take_restore(struct files_server *server, struct message *message)
{
	struct unpack unpack = {.length = message->head.value};
	uint8_t *data;
	ssize_t n;
	int ret;

	if (!server->greeted || unpack.length > FILES_SAVED_MAX)
		return -EINVAL;
	data = malloc(unpack.length + 1);
	if (!data)
		return -ENOMEM;
	n = fd_pread_full(message->fd[0], data, unpack.length, 0);
	unpack.data = data;
	ret = n < 0 || (size_t)n != unpack.length ? -EINVAL
						  : fuse_session_restore(server->session, &unpack);
	free(data);
	if (ret == 0 && !message->head.flag)
		fuse_session_reopen(server->session);
	return ret;
}

static int take_give(struct files_server *server, struct message *message)
{
	(void)message;
	files_give(server->session);
	return 0;
}

static int take_take(struct files_server *server, struct message *message)
{
	int ret = server->greeted ? files_take(server->session) : -EINVAL;

	(void)message;
	if (ret == 0)
		fuse_session_reopen(server->session);
	return ret;
}

static int take_decided(struct files_server *server, struct message *message)
{
	files_decided(server, message->head.value, (enum policy_verdict)message->head.flag);
	return 0;
}

static const struct {
	size_t length;
	int (*take)(struct files_server *server, struct message *message);
	bool fd; /* comes with one */
} kinds[FILES_MESSAGES] = {
	[FILES_HELLO] = {sizeof(struct files_head), take_hello, true},
	[FILES_POLICY] = {sizeof(struct files_head), take_policy, true},
	[FILES_LIMIT] = {sizeof(struct files_limit), take_limit, false},
	[FILES_ADD] = {sizeof(struct files_add), take_add, true},
	[FILES_BEGIN] = {sizeof(struct files_head), take_begin, false},
	[FILES_SAVE] = {sizeof(struct files_head), take_save, true},
	[FILES_RESTORE] = {sizeof(struct files_head), take_restore, true},
	[FILES_GIVE] = {sizeof(struct files_head), take_give, false},
	[FILES_TAKE] = {sizeof(struct files_head), take_take, false},
	[FILES_DECIDED] = {sizeof(struct files_head), take_decided, false},
};

/* The message with its descriptors: false at the end. */
static bool receive(struct files_server *server, struct message *message)
{
	struct iovec part = {&message->add, sizeof(message->add)};
	struct msghdr in = {.msg_iov = &part, .msg_iovlen = 1};
	struct rights rights;
	ssize_t n;

	message->fd[0] = message->fd[1] = -1;
	rights_room(&in, &rights, ARRAY_SIZE(message->fd));
	do {
		n = recvmsg(server->fd, &in, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < (ssize_t)sizeof(message->head))
		return false;
	message->length = (size_t)n;
	rights_take(&in, message->fd, ARRAY_SIZE(message->fd));
	return true;
}

static int take(struct files_server *server, struct message *message)
{
	uint32_t type = message->head.type;

	if (type >= ARRAY_SIZE(kinds) || message->length != kinds[type].length ||
	    kinds[type].fd != (message->fd[0] >= 0))
		return -EINVAL;
	return kinds[type].take(server, message);
}

static void serve_messages(struct files_server *server)
{
	struct message message;

	while (receive(server, &message)) {
		message.reply =
			(struct files_head){.type = FILES_REPLY, .number = message.head.number};
		message.reply.error = take(server, &message);
		fd_close(&message.fd[0]);
		fd_close(&message.fd[1]);
		/* Requests that were sent behind it may begin. */
		pthread_mutex_lock(&server->mutex);
		atomic_store(&server->messages, message.head.number);
		pthread_cond_broadcast(&server->effect);
		pthread_mutex_unlock(&server->mutex);
		files_server_say(server, &message.reply, NULL, 0);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static int create(struct files_server **out, int fd)
{
	/* The rest of a request is for its headers. */
	const struct fuse_session_config config = {.max_write = FILES_REQUEST_MAX - 4096};
	struct files_server *server = calloc(1, sizeof(*server));
	cpu_set_t processors;

	*out = server;
	if (!server)
		return -ENOMEM;
	server->fd = fd;
	server->signal_fd = server->landlock.fd = -1;
	pthread_mutex_init(&server->mutex, NULL);
	pthread_mutex_init(&server->asking, NULL);
	pthread_cond_init(&server->effect, NULL);
	/* With one processor the vCPU would wait for the thread that spins for it. */
	server->spins = sched_getaffinity(0, sizeof(processors), &processors) < 0 ||
			CPU_COUNT(&processors) > 1;
	return fuse_session_create(&server->session, &config);
}

int files_server_run(int fd)
{
	struct files_server *server;
	int ret;

	/* The monitor may go at any time. A write beyond RLIMIT_FSIZE fails (EFBIG). */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	ret = create(&server, fd);
	if (ret == 0)
		ret = fuse_session_enter();
	if (ret < 0) {
		log_error("file server: %s", strerror(-ret));
		return EXIT_CORDON;
	}
	files_reports_by(FILES_QUEUES);
	serve_messages(server);
	/* A thread may be held up by a host file system for ever: all end with the process. */
	_exit(0);
}

int files_server_main(int fd)
{
	struct err err;

	if (files_confine(&err) < 0) {
		log_error("file server: %s", err.text);
		return EXIT_CORDON;
	}
	return files_server_run(fd);
}
