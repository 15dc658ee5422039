/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/traffic.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int make_tap(bool offload)
{
	struct ifreq request = {
		.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0))};
	int header = sizeof(struct virtio_net_hdr_v1);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	strcpy(request.ifr_name, "eth0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		fail("a tap device");
	if (offload && (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
			ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0))
		fail("offloads of a tap device");
	if (system("ip link set lo up && ip link set eth0 address 02:00:5e:00:00:02 mtu 65520 "
		   "txqueuelen 1000 up && ip addr add 192.0.2.2/24 dev eth0 && "
		   "ip route add default via 192.0.2.1 && "
		   "echo reno >/proc/sys/net/ipv4/tcp_congestion_control; "
		   "echo 4096 4194304 16777216 >/proc/sys/net/ipv4/tcp_rmem && "
		   "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1 2>/dev/null; true") != 0)
		fail("ip");
	return fd;
}

static void send_fd(int socket_fd, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec byte = {.iov_base = (char[]){'f'}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(socket_fd, &message, 0) < 0)
		fail("sendmsg");
}

static int receive_fd(int socket_fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec segment = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &segment,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) <= 0 || !CMSG_FIRSTHDR(&message))
		exit(1); /* it has said why */
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* The clients, in a namespace of their own: measures on request. */
static void __attribute__((noreturn)) be_guest(int command_fd, double seconds, bool offload)
{
	enum measure what;
	struct outcome value;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		fail("unshare");
	send_fd(command_fd, make_tap(offload));
	while (recv(command_fd, &what, sizeof(what), 0) == sizeof(what)) {
		value = measure(what, seconds);
		if (send(command_fd, &value, sizeof(value), 0) < 0)
			break;
	}
	exit(0);
}

int traffic_guest(int *tap_fd, double seconds, bool offload)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	if (fork() == 0) {
		close(pair[0]);
		be_guest(pair[1], seconds, offload);
	}
	close(pair[1]);
	*tap_fd = receive_fd(pair[0]);
	return pair[0];
}

struct outcome traffic_measure(int command_fd, enum measure what)
{
	struct outcome value;

	if (send(command_fd, &what, sizeof(what), 0) < 0 ||
	    recv(command_fd, &value, sizeof(value), 0) != sizeof(value))
		exit(1); /* it has said why */
	return value;
}
