/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of a relay. What a call does not need of its arguments is refused as well: the
 * options of sockets, fcntl(2) (by which signals can be sent to other processes), memory that can
 * be executed or is a file's.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/jail.h"
#include "vmm/relay/relay_jail_internal.h"
#include "vmm/relay/wire.h"

/* Each call, and what the relay needs it for. */
static const int calls[] = {
	/* the links, sockets of the host */
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockname),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	/* the event loop */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(eventfd2),
	SCMP_SYS(read),
	SCMP_SYS(clock_gettime),
	/* messages to stderr */
	SCMP_SYS(write),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* the policy's copy */
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	/* memory; initial sequence numbers, query ids */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
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

/* Options that it sets, and those that it reads. */
static const struct {
	int call, level, option;
} options[] = {
	{SCMP_SYS(setsockopt), SOL_SOCKET, SO_KEEPALIVE},
	{SCMP_SYS(setsockopt), SOL_SOCKET, SO_LINGER},
	{SCMP_SYS(setsockopt), SOL_SOCKET, SO_REUSEADDR},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_NODELAY},
	{SCMP_SYS(setsockopt), IPPROTO_IP, IP_RECVERR},
	{SCMP_SYS(setsockopt), IPPROTO_IP, IP_PKTINFO},
	{SCMP_SYS(setsockopt), IPPROTO_IPV6, IPV6_RECVERR},
	{SCMP_SYS(setsockopt), IPPROTO_IPV6, IPV6_RECVPKTINFO},
	{SCMP_SYS(setsockopt), IPPROTO_IPV6, IPV6_V6ONLY},
	{SCMP_SYS(getsockopt), SOL_SOCKET, SO_ERROR},
	{SCMP_SYS(getsockopt), IPPROTO_IP, IP_MTU},
	{SCMP_SYS(getsockopt), IPPROTO_IPV6, IPV6_MTU},
};

/*
 * Unix sockets that the relay has are not its to name or connect anew, which takes a path: stderr,
 * where that is one, and the links. The monitor has stderr too, and others may: a terminal, whose
 * user types into it, a file with what came before, a socket of a service manager. So it is
 * written to, and nothing else.
 */
static const struct {
	int call, last; /* not on descriptors up to this one */
} inherited[] = {
	{SCMP_SYS(bind), RELAY_FD_MESSAGES}, {SCMP_SYS(connect), RELAY_FD_MESSAGES},
	{SCMP_SYS(sendto), STDERR_FILENO},   {SCMP_SYS(sendmsg), STDERR_FILENO},
	{SCMP_SYS(read), STDERR_FILENO},     {SCMP_SYS(pread64), STDERR_FILENO},
	{SCMP_SYS(recvfrom), STDERR_FILENO}, {SCMP_SYS(recvmsg), STDERR_FILENO},
	{SCMP_SYS(lseek), STDERR_FILENO},    {SCMP_SYS(shutdown), STDERR_FILENO},
	{SCMP_SYS(listen), STDERR_FILENO},   {SCMP_SYS(accept4), STDERR_FILENO},
};

/* The kernel looks at the lower half of an argument that is an int. */
#define INT_MASK ((scmp_datum_t)UINT32_MAX)

static int allow_sockets(scmp_filter_ctx context)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(sockets) && ret == 0; i++)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].family, 0),
				       SCMP_A1(SCMP_CMP_MASKED_EQ,
					       ~(scmp_datum_t)(SOCK_NONBLOCK | SOCK_CLOEXEC),
					       (scmp_datum_t)sockets[i].type),
				       SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].protocol, 0));
	for (i = 0; i < ARRAY_SIZE(options) && ret == 0; i++)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, options[i].call, 2,
				       SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)options[i].level, 0),
				       SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)options[i].option, 0));
	return ret;
}

static int allow_calls(scmp_filter_ctx context)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(calls) && ret == 0; i++)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, calls[i], 0);
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				       SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	if (ret == 0)
		ret = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, F_GET_SEALS, 0));
	return ret == 0 ? allow_sockets(context) : ret;
}

static int refuse_inherited(scmp_filter_ctx context)
{
	size_t i;
	int ret = 0, fd;

	for (i = 0; i < ARRAY_SIZE(inherited); i++)
		for (fd = 0; fd <= inherited[i].last && ret == 0; fd++)
			ret = seccomp_rule_add(
				context, SCMP_ACT_KILL_PROCESS, inherited[i].call, 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, INT_MASK, (scmp_datum_t)fd));
	return ret;
}

int relay_filter_calls(struct err *err)
{
	/* Two filters, since a rule can permit what an argument is, but not what it is not. */
	int ret = jail_filter(SCMP_ACT_ALLOW, refuse_inherited);

	if (ret == 0)
		ret = jail_filter(SCMP_ACT_KILL_PROCESS, allow_calls);
	return ret < 0 ? err_code(err, -ret, "the filter of system calls") : 0;
}
