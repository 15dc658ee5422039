/* SPDX-License-Identifier: Apache-2.0 */
/* Sets up the network card: address, route, resolver. The monitor filters what crosses it. */
#include "guest-kernel/agent/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CARD	      "eth0"
#define LINK_TRIES    2000
#define LINK_PAUSE_NS 1000000 /* between two tries */
#define CONFIGURATION "/etc/resolv.conf"

static void set_address(struct sockaddr *to, uint32_t address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};

	memcpy(to, &in, sizeof(in));
}

/* Sets a property of the card that is an address. 0 or -errno. */
static int set_property(int fd, unsigned long property, uint32_t address)
{
	struct ifreq request = {.ifr_name = CARD};

	set_address(&request.ifr_addr, address);
	return ioctl(fd, property, &request) < 0 ? -errno : 0;
}

static void set_sysctl(const char *path, const char *value)
{
	size_t length = strlen(value);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, length) != (ssize_t)length)
		agent_log("%s: %s", path, strerror(errno));
	close_fd(&fd);
}

/* Harmless, as only the one sandbox uses this guest. */
void network_low_ports(void)
{
	set_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

/* The driver accepts this also while the card is up, as it is after a restore. */
static int set_mac(int fd, const uint8_t *mac)
{
	struct ifreq request = {.ifr_name = CARD};

	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac, 6);
	return ioctl(fd, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

static int switch_on(int fd, uint32_t mtu)
{
	struct ifreq request = {.ifr_name = CARD};

	request.ifr_mtu = (int)mtu;
	if (ioctl(fd, SIOCSIFMTU, &request) < 0)
		return -errno;
	request.ifr_flags = IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int add_route(int fd, uint32_t router)
{
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

	set_address(&route.rt_dst, 0);
	set_address(&route.rt_genmask, 0);
	set_address(&route.rt_gateway, router);
	/* After a restore the route exists already. */
	return ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST ? -errno : 0;
}

/* The kernel learns of the link by an interrupt, and loses frames sent before it. */
static int await_link(int fd)
{
	const struct timespec pause = {.tv_nsec = LINK_PAUSE_NS};
	struct ifreq request = {.ifr_name = CARD};
	unsigned i;

	for (i = 0; i < LINK_TRIES; i++) {
		if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
			return -errno;
		if (request.ifr_flags & IFF_RUNNING)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ENETDOWN;
}

static int configure(int fd, const uint8_t *payload)
{
	uint32_t prefix = agent_get32(payload + AGENT_NETWORK_AT_PREFIX);
	int ret;

	/* The network outside has no IPv6, so the kernel need not probe for it. */
	set_sysctl("/proc/sys/net/ipv6/conf/" CARD "/disable_ipv6", "1");
	set_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	network_low_ports();
	ret = set_property(fd, SIOCSIFADDR, agent_get32(payload + AGENT_NETWORK_AT_ADDRESS));
	if (ret == 0)
		ret = set_property(fd, SIOCSIFNETMASK, UINT32_MAX << (32 - prefix));
	if (ret == 0)
		ret = switch_on(fd, agent_get32(payload + AGENT_NETWORK_AT_MTU));
	if (ret == 0)
		ret = await_link(fd);
	if (ret == 0)
		ret = add_route(fd, agent_get32(payload + AGENT_NETWORK_AT_ROUTER));
	return ret;
}

/* --- the resolver ----------------------------------------------------------------------------- */

/*
 * Writes /etc/resolv.conf, in a child, in the sandbox's mount namespace and as sandbox root. It
 * replaces what is there, which in an image may be a dangling link. 0 or an errno value.
 */
static int write_configuration(uint32_t resolver)
{
	char text[64];
	int fd, length, ret = sandbox_join_mounts();

	if (ret < 0)
		return -ret;
	length = snprintf(text, sizeof(text), "nameserver %u.%u.%u.%u\n", resolver >> 24,
			  resolver >> 16 & 0xff, resolver >> 8 & 0xff, resolver & 0xff);
	umask(022);
	setfsgid(SANDBOX_ID_BASE);
	setfsuid(SANDBOX_ID_BASE);
	if (unlink(CONFIGURATION) < 0 && errno != ENOENT)
		return errno;
	fd = open(CONFIGURATION, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	return write(fd, text, (size_t)length) == length ? 0 : EIO;
}

/* A failure is not an error: a read-only root file system keeps the file that it has. */
static void set_resolver(uint32_t resolver)
{
	int ret = sandbox_enter(), status = 0;
	pid_t pid;

	if (ret == 0) {
		pid = fork();
		if (pid == 0)
			_exit(write_configuration(resolver));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			ret = -errno;
		else
			ret = WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
	}
	if (ret < 0)
		agent_log(CONFIGURATION ": %s", strerror(-ret));
}

uint32_t network_set(const uint8_t *payload, uint32_t length)
{
	uint32_t prefix = agent_get32(payload + AGENT_NETWORK_AT_PREFIX);
	uint32_t mtu = agent_get32(payload + AGENT_NETWORK_AT_MTU);
	int fd, ret = 0;

	if (length != AGENT_NETWORK_SIZE && length != AGENT_NETWORK_SIZE_MAC)
		return EINVAL;
	if (prefix < 1 || prefix > 30 || mtu < 68 || mtu > 65535)
		return EINVAL;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (uint32_t)errno;
	if (length == AGENT_NETWORK_SIZE_MAC)
		ret = set_mac(fd, payload + AGENT_NETWORK_AT_MAC);
	if (ret == 0)
		ret = configure(fd, payload);
	close_fd(&fd);
	if (ret == 0)
		set_resolver(agent_get32(payload + AGENT_NETWORK_AT_RESOLVER));
	return (uint32_t)-ret;
}
