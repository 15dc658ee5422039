/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/relay_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/wire.h"

/* Each call, and what the relay needs it for. */
static const int calls[] = {
	/* the links, sockets of the host */
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	/* the event loop */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(read),
	SCMP_SYS(clock_gettime),
	/* messages to stderr */
	SCMP_SYS(write),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* the policy's copy, resolv.conf (opened for reading only, below) */
	SCMP_SYS(pread64),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fcntl),
	SCMP_SYS(lseek),
	/* memory; initial sequence numbers, query ids */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(mprotect),
	SCMP_SYS(getrandom),
	SCMP_SYS(futex),
	/* the end */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
};

/* Sockets that the relay opens; type: the bits that tell kinds apart. */
static const struct {
	int family, type, protocol;
} sockets[] = {
	{AF_INET, SOCK_STREAM, 0},
	{AF_INET6, SOCK_STREAM, 0},
	{AF_INET, SOCK_DGRAM, 0},
	{AF_INET6, SOCK_DGRAM, 0},
	{AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
	{AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6},
};

static int allow_calls(scmp_filter_ctx context)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(calls) && ret == 0; i++)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, calls[i], 0);
	for (i = 0; i < ARRAY_SIZE(sockets) && ret == 0; i++)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].family, 0),
				       SCMP_A1(SCMP_CMP_MASKED_EQ,
					       ~(scmp_datum_t)(SOCK_NONBLOCK | SOCK_CLOEXEC),
					       (scmp_datum_t)sockets[i].type),
				       SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].protocol, 0));
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ,
					       O_ACCMODE | O_CREAT | O_TRUNC | O_TMPFILE,
					       O_RDONLY));
	return ret;
}

static int filter_calls(struct err *err)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret = context ? allow_calls(context) : -ENOMEM;

	if (ret == 0)
		ret = seccomp_load(context);
	if (context)
		seccomp_release(context);
	return ret < 0 ? err_code(err, -ret, "the filter of system calls") : 0;
}

/*
 * All capabilities go. Root's network keeps working, but for ports below 1024: a sandbox of root's
 * may publish these, so that one stays.
 */
static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	const uint32_t bind_service = UINT32_C(1) << CAP_NET_BIND_SERVICE;

	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(err, "capget");
	data[0].effective &= bind_service;
	data[0].permitted &= bind_service;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){.effective = 0};
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, "capset");
	return 0;
}

static int limit_resources(struct err *err)
{
	static const struct {
		int resource;
		const char *what;
	} none[] = {{RLIMIT_CORE, "core"}, {RLIMIT_NPROC, "nproc"}};
	const struct rlimit zero = {0, 0};
	struct rlimit files;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(none); i++)
		if (setrlimit((__rlimit_resource_t)none[i].resource, &zero) < 0)
			return err_sys(err, "setrlimit %s", none[i].what);
	/* A descriptor for each flow. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			return err_sys(err, "setrlimit nofile");
	}
	return 0;
}

int relay_confine(struct err *err)
{
	int ret;

	/* The monitor's end: it may be killed at any time. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "prctl");
	syscall(SYS_close_range, RELAY_FD_MESSAGES + 1, ~0u, 0);
	ret = limit_resources(err);
	if (ret == 0)
		ret = drop_capabilities(err);
	return ret == 0 ? filter_calls(err) : ret;
}
