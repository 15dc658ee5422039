/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/net/tap_internal.h"

#define DEVICE	   "/dev/net/tun"
#define TURN	   64 /* frames read at once */
#define MTU_MIN	   576
#define PREFIX_MAX 30	       /* the agent's */
#define IPV6_TEXT  (64u << 10) /* some 1,000 addresses of the host */

struct tap {
	struct loop *loop;
	const struct tap_ops *ops;
	void *arg;
	struct loop_source source;
	struct loop_task read_more;
	bool dead, paused;
	uint64_t lost; /* frames that the kernel did not take */
	uint8_t in[TAP_HEADER + TAP_FRAME_MAX];
};

/* --- opening ---------------------------------------------------------------------------------- */

static int check_name(const char *name, struct err *err)
{
	size_t i, length = strlen(name);

	for (i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~' || strchr("/:%", name[i]))
			break;
	if (i < length || length == 0 || length > TAP_NAME_MAX || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return err_set(err, EINVAL, "'%s' is not the name of an interface", name);
	if (if_nametoindex(name) == 0)
		return err_set(err, ENODEV,
			       "there is no interface %s: ip tuntap add %s mode tap user %u", name,
			       name, getuid());
	return 0;
}

static int attach(int fd, const char *name, struct err *err)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, EBUSY, "%s is in use by another program", name);
	if (errno == EPERM)
		return err_set(err, EPERM,
			       "%s belongs to another user: ip tuntap add %s mode tap user %u",
			       name, name, getuid());
	if (errno == EINVAL)
		return err_set(
			err, EINVAL,
			"%s is not a tap, or has several queues: ip tuntap add NAME mode tap "
			"makes one",
			name);
	return err_sys(err, "%s", name);
}

/* The interface keeps what its last user has set, so set all of it. */
static int set_header(int fd, const char *name, struct err *err)
{
	int size = TAP_HEADER, little = 1;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0ul) < 0)
		return err_sys(err, "%s: the headers of frames", name);
	return 0;
}

/* Reads one property of the interface. */
static int read_property(const char *name, unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;

	memset(request, 0, sizeof(*request));
	memcpy(request->ifr_name, name, strlen(name) + 1);
	if (fd < 0 || ioctl(fd, what, request) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret;
}

static uint32_t address_in(const struct ifreq *request)
{
	struct sockaddr_in in;

	memcpy(&in, &request->ifr_addr, sizeof(in));
	return ntohl(in.sin_addr.s_addr);
}

uint32_t tap_guest_address(uint32_t host, unsigned prefix)
{
	uint32_t network;

	if (prefix < 1 || prefix > PREFIX_MAX)
		return 0;
	network = host & UINT32_MAX << (32 - prefix);
	return host == network + 1 ? network + 2 : network + 1;
}

static int read_addresses(struct tap_wire *wire, const char *name, struct err *err)
{
	struct ifreq request;
	int ret = read_property(name, SIOCGIFADDR, &request);

	if (ret < 0)
		return err_set(err, -ret, "%s has no IPv4 address: ip addr add 10.99.0.1/30 dev %s",
			       name, name);
	wire->host = address_in(&request);
	ret = read_property(name, SIOCGIFNETMASK, &request);
	if (ret < 0)
		return err_code(err, -ret, "%s", name);
	wire->prefix = (unsigned)__builtin_popcount(address_in(&request));
	wire->guest = tap_guest_address(wire->host, wire->prefix);
	if (wire->guest == 0)
		return err_set(err, EINVAL,
			       "%s has the prefix /%u, in which the sandbox finds no address: give "
			       "it a network from /1 to /%d",
			       name, wire->prefix, PREFIX_MAX);
	return 0;
}

/* A host without IPv6 has no such file. */
static void read_addresses6(struct tap_wire *wire, const char *name)
{
	static char text[IPV6_TEXT];
	int fd = open("/proc/net/if_inet6", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : fd_read_full(fd, text, sizeof(text) - 1);

	fd_close(&fd);
	text[got > 0 ? got : 0] = '\0';
	tap_read_ipv6(wire, name, text);
}

static int read_wire(struct tap_wire *wire, const char *name, struct err *err)
{
	struct ifreq request;
	int ret = read_addresses(wire, name, err);

	if (ret < 0)
		return ret;
	ret = read_property(name, SIOCGIFMTU, &request);
	wire->mtu = (unsigned)request.ifr_mtu;
	if (ret == 0)
		ret = read_property(name, SIOCGIFHWADDR, &request);
	/*
	 * Different from the interface's, and as unique. It is the same for each sandbox that uses
	 * the interface: the host may still know it.
	 */
	memcpy(wire->guest_mac, request.ifr_hwaddr.sa_data, TAP_MAC);
	wire->guest_mac[0] = (uint8_t)(((wire->guest_mac[0] ^ 8) | 2) & ~1u);
	if (ret == 0)
		ret = read_property(name, SIOCGIFFLAGS, &request);
	if (ret < 0)
		return err_code(err, -ret, "%s", name);
	if (!(request.ifr_flags & IFF_UP))
		return err_set(err, ENETDOWN, "%s is down: ip link set %s up", name, name);
	if (wire->mtu < MTU_MIN)
		return err_set(err, EINVAL, "%s has an MTU below %d", name, MTU_MIN);
	read_addresses6(wire, name);
	return 0;
}

int tap_open(const char *name, struct tap_wire *wire, struct err *err)
{
	int ret = check_name(name, err), fd = -1;

	*wire = (struct tap_wire){.mtu = 0};
	if (ret < 0)
		return ret;
	fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		return err_set(err, EACCES,
			       "%s may not be opened by this user: chmod 666 %s, as is usual, or "
			       "run as host root",
			       DEVICE, DEVICE);
	if (fd < 0)
		return err_sys(err, DEVICE);
	ret = attach(fd, name, err);
	if (ret == 0)
		ret = set_header(fd, name, err);
	if (ret == 0)
		ret = read_wire(wire, name, err);
	if (ret < 0)
		fd_close(&fd);
	return ret < 0 ? ret : fd;
}

/* --- frames ----------------------------------------------------------------------------------- */

static void die(struct tap *tap, const char *why)
{
	if (tap->dead)
		return;
	tap->dead = true;
	loop_remove(tap->loop, &tap->source);
	loop_cancel(tap->loop, &tap->read_more);
	tap->ops->died(tap->arg, why);
}

static void read_frames(struct tap *tap)
{
	unsigned turn;
	ssize_t got;

	for (turn = 0; turn < TURN && !tap->dead; turn++) {
		if (!tap->ops->room(tap->arg)) {
			tap->paused = true;
			loop_modify(tap->loop, &tap->source, 0);
			return;
		}
		got = read(tap->source.fd, tap->in, sizeof(tap->in));
		/* EIO: the interface is down, and may come back. EFAULT: a frame that is too long,
		 * which the kernel drops. */
		if (got < 0 &&
		    (errno == EAGAIN || errno == EINTR || errno == EIO || errno == EFAULT))
			return;
		if (got <= 0) {
			die(tap, "the interface is gone");
			return;
		}
		if (got > TAP_HEADER)
			tap->ops->frame(tap->arg, tap->in, tap->in + TAP_HEADER,
					(size_t)got - TAP_HEADER);
	}
}

static void tap_ready(void *arg, uint32_t events)
{
	struct tap *tap = arg;

	if ((events & EPOLLIN) && !tap->paused)
		read_frames(tap);
	else if (events & (EPOLLERR | EPOLLHUP))
		die(tap, "the interface is gone");
}

static void read_more(void *arg)
{
	struct tap *tap = arg;

	tap->paused = false;
	loop_modify(tap->loop, &tap->source, EPOLLIN);
	read_frames(tap);
}

void tap_send(struct tap *tap, const uint8_t header[TAP_HEADER], const uint8_t *frame,
	      size_t length)
{
	const struct iovec iov[] = {{(void *)header, TAP_HEADER}, {(void *)frame, length}};

	/* The loop detects the interface's end. */
	if (!tap->dead && writev(tap->source.fd, iov, ARRAY_SIZE(iov)) < 0)
		tap->lost++;
}

void tap_resume(struct tap *tap)
{
	if (!tap->dead && tap->paused)
		loop_defer(tap->loop, &tap->read_more);
}

void tap_set_offloads(struct tap *tap, bool partial, bool tso4, bool tso6)
{
	unsigned long flags = 0;

	if (partial)
		flags = TUN_F_CSUM | (tso4 ? TUN_F_TSO4 : 0ul) | (tso6 ? TUN_F_TSO6 : 0ul);
	/* If the kernel refuses, they stay as they are: the card drops what its guest can't take.
	 */
	if (!tap->dead)
		ioctl(tap->source.fd, TUNSETOFFLOAD, flags);
}

/* --- life ------------------------------------------------------------------------------------- */

int tap_create(struct tap **out, struct loop *loop, int fd, const struct tap_ops *ops, void *arg)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int ret;

	*out = NULL;
	if (!tap) {
		fd_close(&fd);
		return -ENOMEM;
	}
	tap->loop = loop;
	tap->ops = ops;
	tap->arg = arg;
	tap->paused = true;
	tap->read_more = (struct loop_task){.run = read_more, .arg = tap};
	tap->source = (struct loop_source){.fd = fd, .ready = tap_ready, .arg = tap};
	ret = loop_add(loop, &tap->source, 0);
	if (ret < 0)
		tap_destroy(tap);
	else
		*out = tap;
	return ret;
}

void tap_destroy(struct tap *tap)
{
	if (!tap)
		return;
	loop_remove(tap->loop, &tap->source);
	loop_cancel(tap->loop, &tap->read_more);
	fd_close(&tap->source.fd);
	free(tap);
}
