/* SPDX-License-Identifier: Apache-2.0 */
/* Sets up the network card: addresses, routes, resolver. The monitor filters what crosses it. */
#include "guest-kernel/agent/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/network.h"

#define MAC	      6 /* bytes */
#define MTU_MIN	      68
#define MTU_MIN6      1280 /* RFC 8200, 5 */
#define MTU_MAX	      65535
#define PREFIX_MOST   30
#define PREFIX6_MOST  126
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
	struct ifreq request = {.ifr_name = NETWORK_CARD};

	set_address(&request.ifr_addr, address);
	return ioctl(fd, property, &request) < 0 ? -errno : 0;
}

void network_sysctl(const char *path, const char *value)
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
	network_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

/* The driver accepts this also while the card is up, as it is after a restore. */
static int set_mac(int fd, const uint8_t *mac)
{
	struct ifreq request = {.ifr_name = NETWORK_CARD};

	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac, MAC);
	return ioctl(fd, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

static int switch_on(int fd, uint32_t mtu)
{
	struct ifreq request = {.ifr_name = NETWORK_CARD};

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
	struct ifreq request = {.ifr_name = NETWORK_CARD};
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

/* A kernel without IPv6 is no error: IPv4 works. */
static int set_ipv6(int fd, struct network_settings *settings)
{
	struct ifreq request = {.ifr_name = NETWORK_CARD};
	int ret;

	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return -errno;
	ret = network6_set(settings, (unsigned)request.ifr_ifindex);
	if (ret != -EOPNOTSUPP && ret != -EAFNOSUPPORT)
		return ret;
	agent_log("no IPv6: %s", strerror(-ret));
	settings->resolver6 = NULL;
	return 0;
}

static int configure(int fd, struct network_settings *settings)
{
	int ret;

	network6_prepare(settings->address6 != NULL);
	network_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	network_low_ports();
	ret = set_property(fd, SIOCSIFADDR, settings->address);
	if (ret == 0)
		ret = set_property(fd, SIOCSIFNETMASK, UINT32_MAX << (32 - settings->prefix));
	if (ret == 0)
		ret = switch_on(fd, settings->mtu);
	if (ret == 0)
		ret = await_link(fd);
	if (ret == 0)
		ret = add_route(fd, settings->router);
	if (ret == 0 && settings->address6)
		ret = set_ipv6(fd, settings);
	return ret;
}

int network_set_card(struct network_settings *settings)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0)
		return -errno;
	if (settings->mac)
		ret = set_mac(fd, settings->mac);
	if (ret == 0)
		ret = configure(fd, settings);
	close_fd(&fd);
	return ret;
}

/* --- the resolver ----------------------------------------------------------------------------- */

static size_t put_text(char *to, const char *text, size_t length)
{
	memcpy(to, text, length);
	return length;
}

static size_t put_resolver(char *to, int family, const void *address)
{
	static const char word[] = "nameserver ";
	size_t length = put_text(to, word, sizeof(word) - 1);

	/* Only another family could make it fail. */
	if (!inet_ntop(family, address, to + length, INET6_ADDRSTRLEN))
		return 0;
	length += strlen(to + length);
	to[length++] = '\n';
	return length;
}

size_t network_resolver_text(const struct network_settings *settings,
			     char to[NETWORK_RESOLVER_TEXT])
{
	static const char word[] = "search ";
	struct in_addr resolver = {.s_addr = htonl(settings->resolver)};
	size_t length = 0;

	if (settings->resolver != 0)
		length = put_resolver(to, AF_INET, &resolver);
	if (settings->resolver6)
		length += put_resolver(to + length, AF_INET6, settings->resolver6);
	if (settings->search_length == 0)
		return length;
	length += put_text(to + length, word, sizeof(word) - 1);
	length += put_text(to + length, settings->search, settings->search_length);
	to[length++] = '\n';
	return length;
}

/*
 * Writes /etc/resolv.conf, in a child, in the sandbox's mount namespace and as sandbox root. It
 * replaces what is there, which in an image may be a dangling link. 0 or an errno value.
 */
static int write_configuration(const struct network_settings *settings)
{
	char text[NETWORK_RESOLVER_TEXT];
	size_t length = network_resolver_text(settings, text);
	int fd, ret = sandbox_join_mounts();

	if (ret < 0)
		return -ret;
	umask(022);
	setfsgid(SANDBOX_ID_BASE);
	setfsuid(SANDBOX_ID_BASE);
	if (unlink(CONFIGURATION) < 0 && errno != ENOENT)
		return errno;
	fd = open(CONFIGURATION, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	return write(fd, text, length) == (ssize_t)length ? 0 : EIO;
}

/* A failure is not an error: a read-only root file system keeps the file that it has. */
static void set_resolver(const struct network_settings *settings)
{
	int ret = sandbox_enter(), status = 0;
	pid_t pid;

	if (ret == 0) {
		pid = fork();
		if (pid == 0)
			_exit(write_configuration(settings));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			ret = -errno;
		else
			ret = WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
	}
	if (ret < 0)
		agent_log(CONFIGURATION ": %s", strerror(-ret));
}

/* --- the request ------------------------------------------------------------------------------ */

static const uint8_t *if_any(const uint8_t *bytes, size_t length)
{
	static const uint8_t none[ADDRESS6];

	return memcmp(bytes, none, length) == 0 ? NULL : bytes;
}

static bool is_domain_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == ' ';
}

/* What follows in a NETWORK of the feature IPV6. */
static uint32_t parse_more(struct network_settings *settings, const uint8_t *payload,
			   uint32_t length)
{
	size_t i;

	settings->mac = if_any(payload + AGENT_NETWORK_AT_MAC, MAC);
	settings->prefix6 = agent_get32(payload + AGENT_NETWORK_AT_PREFIX6);
	settings->address6 = if_any(payload + AGENT_NETWORK_AT_ADDRESS6, ADDRESS6);
	if (settings->prefix6 > PREFIX6_MOST || !settings->prefix6 != !settings->address6 ||
	    (settings->address6 && settings->mtu < MTU_MIN6))
		return EINVAL;
	if (settings->address6) {
		settings->router6 = if_any(payload + AGENT_NETWORK_AT_ROUTER6, ADDRESS6);
		settings->resolver6 = if_any(payload + AGENT_NETWORK_AT_RESOLVER6, ADDRESS6);
	}
	settings->search = (const char *)payload + AGENT_NETWORK_SIZE_IPV6;
	settings->search_length = length - AGENT_NETWORK_SIZE_IPV6;
	for (i = 0; i < settings->search_length; i++)
		if (!is_domain_byte(settings->search[i]))
			return EINVAL;
	return 0;
}

uint32_t network_parse(struct network_settings *settings, const uint8_t *payload, uint32_t length)
{
	bool more = length >= AGENT_NETWORK_SIZE_IPV6 && length <= AGENT_NETWORK_MOST;

	if (length != AGENT_NETWORK_SIZE && length != AGENT_NETWORK_SIZE_MAC && !more)
		return EINVAL;
	*settings = (struct network_settings){
		.address = agent_get32(payload + AGENT_NETWORK_AT_ADDRESS),
		.prefix = agent_get32(payload + AGENT_NETWORK_AT_PREFIX),
		.router = agent_get32(payload + AGENT_NETWORK_AT_ROUTER),
		.resolver = agent_get32(payload + AGENT_NETWORK_AT_RESOLVER),
		.mtu = agent_get32(payload + AGENT_NETWORK_AT_MTU),
		.mac = length == AGENT_NETWORK_SIZE_MAC ? payload + AGENT_NETWORK_AT_MAC : NULL,
	};
	if (settings->prefix < 1 || settings->prefix > PREFIX_MOST || settings->mtu < MTU_MIN ||
	    settings->mtu > MTU_MAX)
		return EINVAL;
	return more ? parse_more(settings, payload, length) : 0;
}

uint32_t network_set(const uint8_t *payload, uint32_t length)
{
	struct network_settings settings;
	uint32_t error = network_parse(&settings, payload, length);
	int ret;

	if (error)
		return error;
	ret = network_set_card(&settings);
	if (ret == 0)
		set_resolver(&settings);
	return (uint32_t)-ret;
}
