/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/relay_peers_common.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

/* --- the network ------------------------------------------------------------------------------ */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool enter_network(void)
{
	struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/setgroups", "deny");
	if (!write_text("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (!write_text("/proc/self/gid_map", map))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &interface) == 0 && close(fd) == 0;
}

/* A child tries it first: an attempt that fails halfway cannot be undone. */
bool host_own_network(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(!enter_network());
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status == 0 && enter_network();
}

bool host_has_ipv6(void)
{
	const struct sockaddr_in6 six = {.sin6_family = AF_INET6,
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&six, sizeof(six)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

void host_skip(const char *test, const char *why)
{
	printf("skip %s %s\n", test, why);
	fflush(stdout);
}

/* --- peers ------------------------------------------------------------------------------------ */

int peer_open(unsigned family, int type, uint16_t *port)
{
	const struct ip_address address = loopback(family);
	const struct timeval patience = {.tv_sec = 20};
	struct sockaddr_storage at;
	socklen_t length = ip_to_socket(&address, *port, &at);
	struct ip_address own;
	int fd = socket((int)family, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, length), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	ck_assert(ip_from_socket(&at, &own, port));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

size_t peer_reads(int fd, void *to, size_t size, uint16_t *from)
{
	struct sockaddr_storage at;
	socklen_t length = sizeof(at);
	struct ip_address address;
	uint16_t port;
	ssize_t got = recvfrom(fd, to, size, 0, (struct sockaddr *)&at, &length);

	ck_assert_msg(got >= 0, "nothing came: %s", strerror(errno));
	ck_assert(ip_from_socket(&at, &address, &port));
	if (from)
		*from = port;
	return (size_t)got;
}

void peer_reads_text(int fd, const char *text, uint16_t *from)
{
	char bytes[256];
	size_t length = peer_reads(fd, bytes, sizeof(bytes), from);

	ck_assert_uint_eq(length, strlen(text));
	ck_assert_mem_eq(bytes, text, length);
}

void peer_is_silent(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

void peer_sends(int fd, unsigned family, uint16_t port, const void *data, size_t length)
{
	const struct ip_address address = loopback(family);
	struct sockaddr_storage at;
	socklen_t at_length = ip_to_socket(&address, port, &at);

	ck_assert_int_eq(sendto(fd, data, length, 0, (struct sockaddr *)&at, at_length),
			 (ssize_t)length);
}
