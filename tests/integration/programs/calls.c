/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes system calls that rules about groups close, each in a process of its own, and prints one
 * line for each: its name, and `ok` or the name of the error. Run it as sandbox root.
 * `calls rings` takes all memory that packet sockets get.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/programs/attempts.h"

#define PIDFD_OPEN  434
#define CLONE3	    435
#define PIDFD_GETFD 438
#define MEMFD_EXEC  0x10
#define PACKETS	    263 /* the level of options of packet sockets */
#define RX_RING	    5

static int traceme(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int vm_readv(void)
{
	char from[4] = "abc", to[4];
	struct iovec local = {to, sizeof(to)}, remote = {from, sizeof(from)};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 4 ? 0 : -1;
}

static int compare(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), 0, 1, 1) < 0 ? -1 : 0;
}

static int getfd(void)
{
	int pidfd = (int)syscall(PIDFD_OPEN, getpid(), 0);

	return syscall(PIDFD_GETFD, pidfd, 1, 0) < 0 ? -1 : 0;
}

static int unshare_user(void)
{
	return unshare(CLONE_NEWUSER);
}

static int unshare_mounts(void)
{
	return unshare(CLONE_NEWNS);
}

static int clone_user(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}

/* Reached, it fails for its arguments: EINVAL. */
static int clone3(void)
{
	return (int)syscall(CLONE3, NULL, 0);
}

static int join(void)
{
	return setns(open("/proc/self/ns/uts", O_RDONLY), 0);
}

static int mount_tmpfs(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? -1 : umount2("/tmp", 0);
}

static int another_user(void)
{
	return setresuid(1000, 1000, 1000);
}

static int other_groups(void)
{
	return (int)syscall(SYS_setgroups, 0, NULL);
}

static int raw(void)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1);
}

/* Makes rings of packet sockets, 4 MiB each, until one fails: with its errno value, or 0. */
static int rings(void)
{
	const struct {
		unsigned block_size, blocks, frame_size, frames;
	} ring = {.block_size = 65536, .blocks = 64, .frame_size = 2048, .frames = 2048};
	unsigned i;

	for (i = 0; i < 900; i++)
		if (setsockopt(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), PACKETS, RX_RING,
			       &ring, sizeof(ring)) < 0)
			return errno;
	return 0;
}

/* Reads its own datagram on its way through the loopback device. */
static int packet(void)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval patience = {.tv_sec = 60};
	int reader = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
	int writer = socket(AF_INET, SOCK_DGRAM, 0);
	char text[128] = "";

	if (reader < 0 || writer < 0 ||
	    setsockopt(reader, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    sendto(writer, "datagram", 8, 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	while (recv(reader, text, sizeof(text), 0) > 0)
		if (memmem(text, sizeof(text), "datagram", 8))
			return 0;
	return -1;
}

/* The network is the sandbox's, and so its root's. */
static int second_address(void)
{
	struct ifreq request = {.ifr_name = "lo:9"};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000909)};

	memcpy(&request.ifr_addr, &address, sizeof(address));
	return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFADDR, &request);
}

/* Its settings are the whole kernel's. */
static int network_setting(void)
{
	return open("/proc/sys/net/core/rmem_max", O_WRONLY);
}

static int netlink_raw(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int clock_read(void)
{
	struct timex now = {.modes = 0};

	return (int)syscall(SYS_adjtimex, &now) < 0 ? -1 : 0;
}

/* Runs a copy of this program, in memory. */
static int run_memory(unsigned flags)
{
	int fd = (int)syscall(SYS_memfd_create, "copy", flags);
	int self = open("/proc/self/exe", O_RDONLY), n;
	char *const arguments[] = {"copy", "ends", NULL}, *const variables[] = {NULL};
	static char bytes[65536];

	if (fd < 0)
		return -1;
	while ((n = (int)read(self, bytes, sizeof(bytes))) > 0)
		if (write(fd, bytes, (size_t)n) != n)
			return -1;
	fexecve(fd, arguments, variables);
	return -1;
}

static int memory_exec(void)
{
	return run_memory(MEMFD_EXEC);
}

static int memory_old(void)
{
	return run_memory(0);
}

static int memory_data(void)
{
	int fd = (int)syscall(SYS_memfd_create, "data", 0);

	return fd < 0 || ftruncate(fd, 4096) < 0 ? -1 : 0;
}

static int bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int perf(void)
{
	return (int)syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static int io_uring(void)
{
	return (int)syscall(425, 1, NULL);
}

static int keyring(void)
{
	return (int)syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static int module(void)
{
	return (int)syscall(SYS_delete_module, "x", 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static int thread(void)
{
	pthread_t id;

	errno = pthread_create(&id, NULL, nothing, NULL);
	return errno ? -1 : pthread_join(id, NULL);
}

static const struct attempt attempts[] = {
	{"ptrace", traceme},
	{"process_vm_readv", vm_readv},
	{"kcmp", compare},
	{"pidfd_getfd", getfd},
	{"unshare_user", unshare_user},
	{"unshare_mounts", unshare_mounts},
	{"clone_user", clone_user},
	{"clone3", clone3},
	{"setns", join},
	{"mount", mount_tmpfs},
	{"setresuid", another_user},
	{"setgroups", other_groups},
	{"raw", raw},
	{"packet", packet},
	{"address", second_address},
	{"setting", network_setting},
	{"netlink_raw", netlink_raw},
	{"clock", clock_read},
	{"memfd_exec", memory_exec},
	{"memfd_old", memory_old},
	{"memfd_data", memory_data},
	{"bpf", bpf},
	{"perf", perf},
	{"io_uring", io_uring},
	{"keyring", keyring},
	{"module", module},
	{"thread", thread},
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "ends") == 0)
		return 0;
	if (argc > 1 && strcmp(argv[1], "rings") == 0)
		return rings();
	attempts_run(attempts, sizeof(attempts) / sizeof(attempts[0]));
	return 0;
}
