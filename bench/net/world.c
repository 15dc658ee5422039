/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command in a network namespace of its own, which has an interface and a default route;
 * behind it, in a second namespace, are the servers of the network benchmark. No packet leaves the
 * two, and both are gone with the command. Without root it needs user namespaces. It uses ip(8).
 *
 *   net-world COMMAND [ARGUMENT...]
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/net/measures.h"

static atomic_ulong datagrams;

/* --- the servers ------------------------------------------------------------------------------ */

static void serve_one(int fd, enum port port)
{
	static _Thread_local char bytes[CHUNK];
	uint64_t count;
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
	if (port == COUNTER) {
		count = atomic_load(&datagrams);
		send(fd, &count, sizeof(count), MSG_NOSIGNAL);
	}
	close(fd);
}

static int listen_at(int type, enum port port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	inet_pton(AF_INET, SERVER, &at.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 256) < 0))
		fail("a server");
	return fd;
}

struct server {
	enum port port;
	int fd;
};

static void *serve(void *arg)
{
	struct server *server = arg;
	int one = 1, client;

	while ((client = accept(server->fd, NULL, NULL)) >= 0) {
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		serve_one(client, server->port);
	}
	return NULL;
}

/* Keeps connections until their clients are gone. */
static void *hold(void *arg)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = *(int *)arg};
	int listener = *(int *)arg, set = epoll_create1(EPOLL_CLOEXEC), fd;

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) < 0)
		fail("epoll");
	while (epoll_wait(set, &event, 1, -1) >= 0) {
		fd = event.data.fd;
		if (fd != listener) {
			close(fd);
			continue;
		}
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		event = (struct epoll_event){.events = EPOLLRDHUP, .data.fd = fd};
		if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
			fail("a connection");
	}
	return NULL;
}

static void *count(void *arg)
{
	int room = 4 << 20, *fd = arg;
	char bytes[128];

	setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	while (recv(*fd, bytes, sizeof(bytes), 0) >= 0)
		atomic_fetch_add(&datagrams, 1);
	return NULL;
}

static void start_servers(void)
{
	static struct server servers[] = {
		{SINK, -1}, {SOURCE, -1}, {ECHO, -1}, {CLOSER, -1}, {COUNTER, -1}};
	static int datagram_fd, holder_fd;
	struct rlimit files;
	pthread_t thread;
	unsigned i;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);

	for (i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		servers[i].fd = listen_at(SOCK_STREAM, servers[i].port);
		if (pthread_create(&thread, NULL, serve, &servers[i]) != 0)
			fail("a thread");
	}
	holder_fd = listen_at(SOCK_STREAM, HOLDER);
	if (pthread_create(&thread, NULL, hold, &holder_fd) != 0)
		fail("a thread");
	datagram_fd = listen_at(SOCK_DGRAM, COUNTER);
	if (pthread_create(&thread, NULL, count, &datagram_fd) != 0)
		fail("a thread");
}

/* --- the namespaces --------------------------------------------------------------------------- */

static void run(const char *command)
{
	if (system(command) != 0) {
		fprintf(stderr, "net-world: failed: %s\n", command);
		exit(1);
	}
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

/* The first namespace. A user other than root becomes root of a user namespace. */
static void enter_network(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(uid == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
		fail("a network namespace");
	if (uid != 0) {
		put("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1\n", uid);
		put("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1\n", gid);
		put("/proc/self/gid_map", map);
	}
	/* Reno is the only congestion control that all hosts have. */
	run("{ echo reno >/proc/sys/net/ipv4/tcp_congestion_control; } 2>/dev/null; "
	    "ip link set lo up && ip link add out0 type veth peer name out1 && "
	    "ip addr add 203.0.113.2/24 dev out0 && ip link set out0 up && "
	    "ip route add default via 203.0.113.1");
}

/* The second one, for the other end of the link. Speaks with the first process by bytes on fd. */
static void __attribute__((noreturn)) be_servers(int fd)
{
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		fail("a network namespace");
	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		exit(1); /* the other process has said why */
	run("{ echo reno >/proc/sys/net/ipv4/tcp_congestion_control; } 2>/dev/null; "
	    "ip link set lo up && ip addr add " SERVER "/32 dev lo && "
	    "ip addr add 203.0.113.1/24 dev out1 && ip link set out1 up");
	start_servers();
	if (write(fd, &byte, 1) != 1)
		exit(1);
	for (;;)
		pause();
}

static pid_t make_servers(void)
{
	char command[80], byte = 0;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		close(pair[0]);
		be_servers(pair[1]);
	}
	close(pair[1]);
	snprintf(command, sizeof(command), "ip link set out1 netns %d", (int)pid);
	if (read(pair[0], &byte, 1) != 1)
		exit(1); /* it has said why */
	run(command);
	if (write(pair[0], &byte, 1) != 1 || read(pair[0], &byte, 1) != 1)
		exit(1);
	close(pair[0]);
	return pid;
}

int main(int argc, char **argv)
{
	pid_t servers, command;
	int status = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: net-world COMMAND [ARGUMENT...]\n");
		return 1;
	}
	enter_network();
	servers = make_servers();
	command = fork();
	if (command < 0)
		fail("fork");
	if (command == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[1], argv + 1);
		fail(argv[1]);
	}
	if (waitpid(command, &status, 0) < 0)
		fail("waitpid");
	kill(servers, SIGKILL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
