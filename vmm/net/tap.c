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
#include <unistd.h>

#include <linux/if_tun.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/net/address.h"

#define DEVICE	"/dev/net/tun"
#define TURN	64 /* frames read at once */
#define MTU_MIN 576

struct tap {
	struct loop *loop;
	const struct backend_ops *ops;
	void *arg;
	struct loop_source source;
	struct loop_task read_more;
	bool dead, paused;
	uint64_t lost; /* frames that the interface did not take */
	struct tap_wire wire;
	uint8_t in[FRAME_MAX + 1]; /* one byte more, to detect a frame that is too long */
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
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

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
	uint32_t network = host & (prefix > 0 ? UINT32_MAX << (32 - prefix) : 0);

	if (prefix == 31)
		return host ^ 1;
	if (prefix > 31)
		return 0;
	return host == network + 1 ? network + 2 : network + 1;
}

static int read_wire(struct tap_wire *wire, const char *name, struct err *err)
{
	struct ifreq request;
	int ret = read_property(name, SIOCGIFADDR, &request);

	if (ret < 0)
		return err_set(err, -ret, "%s has no IPv4 address: ip addr add 10.99.0.1/30 dev %s",
			       name, name);
	wire->host = address_in(&request);
	ret = read_property(name, SIOCGIFNETMASK, &request);
	if (ret == 0)
		wire->guest = tap_guest_address(wire->host,
						(unsigned)__builtin_popcount(address_in(&request)));
	if (ret == 0 && wire->guest == 0)
		return err_set(err, EINVAL,
			       "%s has an address without a network: give it a network of /31 or "
			       "larger",
			       name);
	if (ret == 0)
		ret = read_property(name, SIOCGIFMTU, &request);
	wire->mtu = (unsigned)request.ifr_mtu;
	if (ret == 0)
		ret = read_property(name, SIOCGIFHWADDR, &request);
	memcpy(wire->host_mac, request.ifr_hwaddr.sa_data, FRAME_MAC);
	/* Different from the interface's, and as unique. */
	memcpy(wire->guest_mac, wire->host_mac, FRAME_MAC);
	wire->guest_mac[0] = (uint8_t)(((wire->guest_mac[0] ^ 8) | 2) & ~1u);
	if (ret == 0)
		ret = read_property(name, SIOCGIFFLAGS, &request);
	if (ret < 0)
		return err_code(err, -ret, "%s", name);
	if (!(request.ifr_flags & IFF_UP))
		return err_set(err, ENETDOWN, "%s is down: ip link set %s up", name, name);
	if (wire->mtu < MTU_MIN)
		return err_set(err, EINVAL, "%s has an MTU below %d", name, MTU_MIN);
	return 0;
}

/* --- addresses -------------------------------------------------------------------------------- */

/* Updates a checksum for a change of two 16-bit words (RFC 1624). */
static void adjust(uint8_t *sum, uint32_t old, uint32_t new)
{
	uint32_t total = (uint16_t)~load_be16(sum);

	total += (uint16_t) ~(old >> 16) + (uint16_t)~old;
	total += (new >> 16) + (new & 0xffff);
	store_be16(sum, frame_fold(total));
}

static void change(uint8_t *frame, size_t at, uint32_t to)
{
	uint32_t from = load_be32(frame + at);
	uint8_t protocol = frame[FRAME_ETHERNET + 9], *sum = frame + FRAME_TRANSPORT;

	adjust(frame + FRAME_ETHERNET + 10, from, to);
	store_be32(frame + at, to);
	if (protocol == IP_TCP) {
		adjust(sum + 16, from, to);
	} else if (protocol == IP_UDP && load_be16(sum + 6) != 0) {
		adjust(sum + 6, from, to);
		/* 0 would mean that there is no checksum. */
		if (load_be16(sum + 6) == 0)
			store_be16(sum + 6, 0xffff);
	}
}

/* Whether addresses and checksums are at the offsets of unfragmented frames without options. */
static bool is_ipv4(const uint8_t *frame, size_t length)
{
	size_t least = FRAME_TRANSPORT;

	if (length < least || load_be16(frame + 12) != 0x0800 || frame[FRAME_ETHERNET] != 0x45)
		return false;
	if (frame[FRAME_ETHERNET + 9] == IP_TCP)
		least += FRAME_TCP;
	else if (frame[FRAME_ETHERNET + 9] == IP_UDP)
		least += FRAME_UDP;
	/* A later fragment has no checksum at that offset. */
	return length >= least && (load_be16(frame + FRAME_ETHERNET + 6) & 0x3fff) == 0;
}

static bool is_arp(const uint8_t *frame, size_t length)
{
	return length >= FRAME_ETHERNET + FRAME_ARP && load_be16(frame + 12) == 0x0806;
}

#define IP_SOURCE  (FRAME_ETHERNET + 12)
#define IP_TARGET  (FRAME_ETHERNET + 16)
#define ARP_SOURCE (FRAME_ETHERNET + 14)
#define ARP_TARGET (FRAME_ETHERNET + 24)

bool tap_to_wire(const struct tap_wire *wire, uint8_t *frame, size_t length)
{
	/* The filter's reply to an ARP request for the guest. */
	if (is_arp(frame, length)) {
		store_be32(frame + ARP_SOURCE, wire->guest);
		return true;
	}
	if (!is_ipv4(frame, length) || load_be32(frame + IP_SOURCE) != ADDRESS_GUEST)
		return false;
	change(frame, IP_SOURCE, wire->guest);
	if (load_be32(frame + IP_TARGET) == ADDRESS_HOST)
		change(frame, IP_TARGET, wire->host);
	return !address_own(load_be32(frame + IP_TARGET));
}

bool tap_from_wire(const struct tap_wire *wire, uint8_t *frame, size_t length)
{
	if (is_arp(frame, length)) {
		if (load_be32(frame + ARP_TARGET) != wire->guest)
			return false;
		store_be32(frame + ARP_TARGET, ADDRESS_GUEST);
		return true;
	}
	if (!is_ipv4(frame, length))
		return true;
	/* Addresses of the sandbox's own network never occur on the wire. */
	if (address_own(load_be32(frame + IP_SOURCE)) || address_own(load_be32(frame + IP_TARGET)))
		return false;
	if (load_be32(frame + IP_TARGET) == wire->guest)
		change(frame, IP_TARGET, ADDRESS_GUEST);
	if (load_be32(frame + IP_SOURCE) == wire->host)
		change(frame, IP_SOURCE, ADDRESS_HOST);
	return true;
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
		/* EIO: the interface is down, and may come back. */
		if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == EIO))
			return;
		if (got <= 0) {
			die(tap, "the interface is gone");
			return;
		}
		if (tap_from_wire(&tap->wire, tap->in, (size_t)got))
			tap->ops->frame(tap->arg, tap->in, (size_t)got);
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

void tap_send(struct tap *tap, const uint8_t *frame, size_t length)
{
	static uint8_t copy[FRAME_MAX];

	if (tap->dead || length > sizeof(copy))
		return;
	memcpy(copy, frame, length);
	if (!tap_to_wire(&tap->wire, copy, length))
		return;
	/* The frame is lost if the interface is down or gone. The loop detects its end. */
	if (write(tap->source.fd, copy, length) < 0)
		tap->lost++;
}

void tap_resume(struct tap *tap)
{
	if (!tap->dead && tap->paused)
		loop_defer(tap->loop, &tap->read_more);
}

const struct tap_wire *tap_wire(const struct tap *tap)
{
	return &tap->wire;
}

/* --- life ------------------------------------------------------------------------------------- */

int tap_create(struct tap **out, struct loop *loop, const char *name, const struct backend_ops *ops,
	       void *arg, struct err *err)
{
	struct tap *tap;
	int ret = check_name(name, err);

	*out = NULL;
	if (ret < 0)
		return ret;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return err_set(err, ENOMEM, "out of memory for the network");
	tap->loop = loop;
	tap->ops = ops;
	tap->arg = arg;
	tap->paused = true;
	tap->read_more = (struct loop_task){.run = read_more, .arg = tap};
	tap->source = (struct loop_source){.fd = -1, .ready = tap_ready, .arg = tap};
	tap->source.fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->source.fd < 0)
		ret = err_sys(err, DEVICE);
	if (ret == 0)
		ret = attach(tap->source.fd, name, err);
	if (ret == 0)
		ret = read_wire(&tap->wire, name, err);
	if (ret == 0 && (ret = loop_add(loop, &tap->source, 0)) < 0)
		err_code(err, -ret, "%s", name);
	if (ret < 0) {
		tap_destroy(tap);
		return ret;
	}
	*out = tap;
	return 0;
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
