/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/traffic.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/loop.h"

#define SERVER "93.184.216.34"
#define CHUNK  262144

enum port { SINK = 5001, SOURCE, ECHO, CLOSER, COUNTER };

double traffic_seconds = 1;
static atomic_ulong *datagrams; /* in memory that processes share */

void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	return (double)loop_now_ns() / 1e9;
}

static int tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static struct sockaddr_in at_server(enum port port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, SERVER, &to.sin_addr);
	return to;
}

/* --- the servers ------------------------------------------------------------------------------ */

static void serve_one(int fd, enum port port)
{
	static char bytes[CHUNK];
	ssize_t n = 1;

	while (port == SINK && n > 0)
		n = recv(fd, bytes, sizeof(bytes), 0);
	while (port == SOURCE && n > 0)
		n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	while (port == ECHO && n > 0) {
		n = recv(fd, bytes, 1, 0);
		if (n > 0)
			n = send(fd, bytes, 1, MSG_NOSIGNAL);
	}
	close(fd);
}

static void *serve(void *arg)
{
	enum port port = (enum port)(uintptr_t)arg;
	struct sockaddr_in at = at_server(port);
	int one = 1, fd = tcp(), client;

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 256) < 0)
		fail("a server");
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		serve_one(client, port);
	}
	return NULL;
}

static void *count(void *arg)
{
	struct sockaddr_in at = at_server(COUNTER);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
	char bytes[128];

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		fail("a server");
	while (recv(fd, bytes, sizeof(bytes), 0) >= 0)
		atomic_fetch_add(datagrams, 1);
	return arg;
}

/* Gives the servers a namespace of their own, behind a link as in a real network. */
static void __attribute__((noreturn)) be_servers(int ready_fd)
{
	static const enum port ports[] = {SINK, SOURCE, ECHO, CLOSER};
	pthread_t thread;
	char byte = 0;
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		fail("unshare");
	if (write(ready_fd, &byte, 1) != 1 || read(ready_fd, &byte, 1) != 1)
		fail("the link");
	if (system("echo reno >/proc/sys/net/ipv4/tcp_congestion_control; "
		   "ip link set lo up && ip addr add " SERVER "/32 dev lo && "
		   "ip addr add 203.0.113.1/24 dev out1 && ip link set out1 up") != 0)
		fail("ip");
	for (i = 0; i < ARRAY_SIZE(ports); i++)
		pthread_create(&thread, NULL, serve, (void *)(uintptr_t)ports[i]);
	pthread_create(&thread, NULL, count, NULL);
	usleep(200000); /* they listen */
	if (write(ready_fd, &byte, 1) != 1)
		fail("the servers");
	for (;;)
		pause();
}

void traffic_serve(void)
{
	char command[80], byte = 0;
	int pair[2];
	pid_t pid;

	datagrams = mmap(NULL, sizeof(*datagrams), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (datagrams == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("the servers");
	pid = fork();
	if (pid == 0)
		be_servers(pair[1]);
	close(pair[1]);
	snprintf(command, sizeof(command), "ip link set out1 netns %d", (int)pid);
	if (read(pair[0], &byte, 1) != 1 || system(command) != 0 || write(pair[0], &byte, 1) != 1 ||
	    read(pair[0], &byte, 1) != 1)
		exit(1); /* it has said why */
}

/* --- the guest's side ------------------------------------------------------------------------- */

static int reach(enum port port)
{
	struct sockaddr_in to = at_server(port);
	int fd = tcp();

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	return fd;
}

/* Bytes a second. */
static struct outcome stream(bool out)
{
	static char bytes[CHUNK];
	int fd = reach(out ? SINK : SOURCE);
	double began = now(), total = 0;
	ssize_t n;

	do {
		n = out ? send(fd, bytes, sizeof(bytes), 0) : recv(fd, bytes, sizeof(bytes), 0);
		total += (double)n;
	} while (n > 0 && now() - began < traffic_seconds);
	shutdown(fd, SHUT_WR);
	/* Wait until the other end has received everything. */
	while (out && recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
	return (struct outcome){total / (now() - began), total / 1e6};
}

/* Seconds spent sending. */
static struct outcome flood(void)
{
	struct sockaddr_in to = at_server(COUNTER);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	double began = now();
	char bytes[64] = "";

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	while (now() - began < traffic_seconds)
		send(fd, bytes, sizeof(bytes), 0);
	close(fd);
	return (struct outcome){.rate = now() - began};
}

/* Seconds for each round trip. */
static struct outcome round_trip(void)
{
	int fd = reach(ECHO);
	double began = now();
	unsigned done = 0;
	char byte = 'x';

	while (now() - began < traffic_seconds) {
		if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
			fail("a round trip");
		done++;
	}
	close(fd);
	return (struct outcome){(now() - began) / done, done};
}

/* Connections a second: makes 500, since the filter lets a burst of 2000 through. */
static struct outcome connections(void)
{
	double began = now();
	unsigned done;
	char byte;
	int fd;

	for (done = 0; done < 500; done++) {
		fd = reach(CLOSER);
		if (recv(fd, &byte, 1, 0) != 0)
			fail("a connection");
		close(fd);
	}
	return (struct outcome){done / (now() - began), done};
}

static struct outcome measure(enum measure what)
{
	switch (what) {
	case OUT:
	case IN:
		return stream(what == OUT);
	case DATAGRAMS:
		return flood();
	case ROUND_TRIP:
		return round_trip();
	default:
		return connections();
	}
}

static int make_tap(void)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	strcpy(request.ifr_name, "eth0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		fail("a tap device");
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
static void __attribute__((noreturn)) be_guest(int command_fd)
{
	enum measure what;
	struct outcome value;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		fail("unshare");
	send_fd(command_fd, make_tap());
	while (recv(command_fd, &what, sizeof(what), 0) == sizeof(what)) {
		value = measure(what);
		if (send(command_fd, &value, sizeof(value), 0) < 0)
			break;
	}
	exit(0);
}

int traffic_guest(int *tap_fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	if (fork() == 0) {
		close(pair[0]);
		be_guest(pair[1]);
	}
	close(pair[1]);
	*tap_fd = receive_fd(pair[0]);
	return pair[0];
}

struct outcome traffic_measure(int command_fd, enum measure what)
{
	unsigned long before = atomic_load(datagrams);
	struct outcome value;

	if (send(command_fd, &what, sizeof(what), 0) < 0 ||
	    recv(command_fd, &value, sizeof(value), 0) != sizeof(value))
		exit(1); /* it has said why */
	if (what != DATAGRAMS)
		return value;
	usleep(300000); /* wait for datagrams still in flight */
	value.units = (double)(atomic_load(datagrams) - before);
	value.rate = value.units / value.rate;
	return value;
}
