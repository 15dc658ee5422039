/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/policy/guard.h"

/* --- events ----------------------------------------------------------------------------------- */

static void wall_expired(void *arg)
{
	struct session *session = arg;

	session->ops->time_over(session->arg, SESSION_WALL);
}

static void idle_expired(void *arg)
{
	struct session *session = arg;

	session->ops->time_over(session->arg, SESSION_IDLE);
}

static void grace_expired(void *arg)
{
	struct session *session = arg;

	session->ops->time_over(session->arg, SESSION_GRACE);
}

static void signal_ready(void *arg, uint32_t events)
{
	struct session *session = arg;
	struct signalfd_siginfo info;
	char text[64];

	(void)events;
	if (read(session->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	snprintf(text, sizeof(text), "stopped by signal %u of process %u", info.ssi_signo,
		 info.ssi_pid);
	session->ops->signal(session->arg, (int)info.ssi_signo, text);
}

static void watch_ready(void *arg, uint32_t events)
{
	struct session *session = arg;

	(void)events;
	session_unwatch(session);
	session->ops->orphaned(session->arg);
}

/* While the loop does not run yet: whether a signal has come, or the watched process has gone. */
static bool stop_wanted(void *arg)
{
	const struct session *session = arg;
	struct pollfd fd[] = {
		{.fd = session->signal_fd, .events = POLLIN},
		/* For a pipe's writing end no event is needed: POLLERR is always reported. */
		{.fd = session->watch_fd, .events = session->watch_events & EPOLLIN ? POLLIN : 0},
	};

	return poll(fd, ARRAY_SIZE(fd), 0) > 0;
}

static void sandbox_ready(void *arg)
{
	struct session *session = arg;

	session->ops->ready(session->arg);
}

static void sandbox_ended(void *arg)
{
	struct session *session = arg;

	session->ops->ended(session->arg);
}

/* --- opening ---------------------------------------------------------------------------------- */

int session_init(struct session *session, const struct session_limits *limits,
		 const struct session_ops *ops, void *arg, struct err *err)
{
	int ret;

	memset(session, 0, sizeof(*session));
	session->ops = ops;
	session->arg = arg;
	session->limits = *limits;
	session->signal_fd = session->watch_fd = -1;
	session->wall_timer =
		(struct loop_timer){.expired = wall_expired, .arg = session, .guest = true};
	session->idle_timer =
		(struct loop_timer){.expired = idle_expired, .arg = session, .guest = true};
	session->grace_timer = (struct loop_timer){.expired = grace_expired, .arg = session};
	ret = loop_create(&session->loop);
	return ret < 0 ? err_code(err, -ret, "event loop") : 0;
}

int session_watch(struct session *session, enum signals which, int fd, uint32_t events,
		  struct err *err)
{
	int ret;

	session->watch_fd = fd;
	session->watch_events = events;
	session->signal_fd = signals_take(which, SFD_CLOEXEC | SFD_NONBLOCK);
	if (session->signal_fd < 0)
		return err_code(err, -session->signal_fd, "signals");
	session->signal_source = (struct loop_source){
		.fd = session->signal_fd, .ready = signal_ready, .arg = session};
	ret = loop_add(session->loop, &session->signal_source, EPOLLIN);
	if (ret == 0 && fd >= 0) {
		session->watch_source =
			(struct loop_source){.fd = fd, .ready = watch_ready, .arg = session};
		ret = loop_add(session->loop, &session->watch_source, events);
	}
	return ret < 0 ? err_code(err, -ret, "signals") : 0;
}

void session_unwatch(struct session *session)
{
	loop_remove(session->loop, &session->watch_source);
	session->watch_fd = -1;
}

int session_open_guard(struct session *session, struct policy *policy, struct audit *audit,
		       struct err *err)
{
	if (guard_create(&session->guard, policy, audit) < 0)
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

int session_open(struct session *session, const struct sandbox_config *config, struct err *err)
{
	static const struct sandbox_ops ops = {.ready = sandbox_ready, .ended = sandbox_ended};
	struct sandbox_config sandbox = *config;

	sandbox.guard = session->guard;
	sandbox.launcher = session->launcher;
	sandbox.stop = (struct snapshot_stop){.wanted = stop_wanted, .arg = session};
	return sandbox_create(&session->sandbox, session->loop, &sandbox, &ops, session, err);
}

/* --- running ---------------------------------------------------------------------------------- */

int session_run(struct session *session, struct err *err)
{
	int ret;

	if (session->limits.wall_ns)
		loop_timer_start(session->loop, &session->wall_timer, session->limits.wall_ns);
	ret = sandbox_start(&session->sandbox, err);
	if (ret < 0)
		return ret;
	ret = loop_run(session->loop);
	return ret < 0 ? err_code(err, -ret, "event loop") : 0;
}

void session_stop(struct session *session)
{
	loop_stop(session->loop);
}

void session_busy(struct session *session, bool busy)
{
	if (busy)
		loop_timer_stop(session->loop, &session->idle_timer);
	else if (session->limits.idle_ns && !session->idle_timer.armed)
		loop_timer_start(session->loop, &session->idle_timer, session->limits.idle_ns);
}

void session_give_grace(struct session *session, uint64_t ns)
{
	loop_timer_start(session->loop, &session->grace_timer, ns);
}

/* --- teardown --------------------------------------------------------------------------------- */

void session_close(struct session *session)
{
	/* While a vCPU runs, devices and streams must not be used without the device lock. */
	if (session->sandbox.machine.loop)
		machine_stop(&session->sandbox.machine);
	session->ops->halted(session->arg);
	sandbox_destroy(&session->sandbox);
	session->ops->gone(session->arg);
	guard_destroy(session->guard);
	session->guard = NULL;
}

void session_destroy(struct session *session)
{
	fd_close(&session->signal_fd);
	loop_destroy(session->loop);
	session->loop = NULL;
}
