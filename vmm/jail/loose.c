/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail/loose.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CORDON_JAIL_LOG

int jail_install(enum jail_thread thread, const struct sock_fprog *program)
{
	(void)thread;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
}

#else

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vmm/jail/lists.h"
#include "vmm/jail/violation.h"

struct watch {
	pthread_mutex_t lock;
	pthread_cond_t known;
	enum jail_thread thread;
	int fd; /* the filter's; -1: not known yet */
};

static void note(enum jail_thread thread, const struct seccomp_notif *call)
{
	const unsigned long long *args = (const unsigned long long *)call->data.args;
	const char *path = getenv("CORDON_JAIL_LOG");
	char line[256];
	int fd = open(path ? path : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	int length = snprintf(line, sizeof(line), "%s: %s(%#llx, %#llx, %#llx, %#llx)\n",
			      jail_list(thread)->thread, jail_call_name(call->data.nr), args[0],
			      args[1], args[2], args[3]);

	if (fd < 0 || write(fd, line, (size_t)length) < 0)
		abort();
	close(fd);
}

/* It began before the filter, which does not restrict it. */
static void *watch_calls(void *arg)
{
	struct watch *watch = arg;
	struct seccomp_notif call;
	struct seccomp_notif_resp reply;

	pthread_mutex_lock(&watch->lock);
	while (watch->fd < 0)
		pthread_cond_wait(&watch->known, &watch->lock);
	pthread_mutex_unlock(&watch->lock);
	for (;;) {
		call = (struct seccomp_notif){.id = 0};
		if (ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR)
				continue;
			return NULL; /* the thread has ended */
		}
		note(watch->thread, &call);
		reply = (struct seccomp_notif_resp){.id = call.id,
						    .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_SEND, &reply);
	}
}

int jail_install(enum jail_thread thread, const struct sock_fprog *program)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	sigset_t all, before;
	pthread_t id;
	int fd;

	if (!watch)
		return -1;
	pthread_mutex_init(&watch->lock, NULL);
	pthread_cond_init(&watch->known, NULL);
	watch->thread = thread;
	watch->fd = -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	fd = pthread_create(&id, NULL, watch_calls, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (fd != 0)
		return -1;
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  program);
	if (fd < 0)
		return -1;
	pthread_mutex_lock(&watch->lock);
	watch->fd = fd;
	pthread_cond_signal(&watch->known);
	pthread_mutex_unlock(&watch->lock);
	return 0;
}

#endif
