/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/host_clock.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"

static void clock_ready(void *arg, uint32_t events)
{
	struct host_clock *clock = arg;
	uint64_t count;

	(void)events;
	if (read(clock->source.fd, &count, sizeof(count)) < 0 && errno == ECANCELED)
		clock->jumped(clock->arg);
}

/* The timer never expires, but every jump of the clock cancels it. */
int host_clock_watch(struct host_clock *clock, struct loop *loop, void (*jumped)(void *arg),
		     void *arg)
{
	static const struct itimerspec never = {.it_value.tv_sec = INT32_MAX};
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK), ret = 0;

	if (fd < 0)
		return -errno;
	*clock = (struct host_clock){
		.jumped = jumped,
		.arg = arg,
		.loop = loop,
		.source = {.fd = fd, .ready = clock_ready, .arg = clock},
	};
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
		ret = -errno;
	if (ret == 0)
		ret = loop_add(loop, &clock->source, EPOLLIN);
	if (ret < 0)
		host_clock_close(clock);
	return ret;
}

void host_clock_close(struct host_clock *clock)
{
	if (!clock->loop)
		return;
	loop_remove(clock->loop, &clock->source);
	fd_close(&clock->source.fd);
	clock->loop = NULL;
}
