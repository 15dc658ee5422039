/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server for the guest: serve tcp:PORT udp:PORT vsock:PORT local:PORT ... ("local": TCP on the
 * loopback only). Prints "ready" when all ports are open. Tells each connection (at its first
 * bytes) and each datagram which port received what from whom; "quit" ends the server; "echo" gets
 * "!" back, and then all that follows, until the peer is done.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS 16

/* musl has no linux/vm_sockets.h. */
struct vsock_address {
	unsigned short family, reserved;
	unsigned port, cid;
	unsigned char zero[4];
};

static struct pollfd watched[PORTS];
static const char *name[PORTS];

static int open_port(const char *word)
{
	const char *colon = strchr(word, ':');
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
	struct vsock_address vm = {
		.family = AF_VSOCK, .port = (unsigned)atoi(colon + 1), .cid = ~0u};
	int udp = word[0] == 'u', vsock = word[0] == 'v', yes = 1;
	int fd = socket(vsock ? AF_VSOCK : AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (word[0] == 'l')
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, vsock ? (void *)&vm : (void *)&in, vsock ? sizeof(vm) : sizeof(in)) < 0 ||
	    (!udp && listen(fd, 128) < 0)) {
		perror(word);
		exit(1);
	}
	return fd;
}

static const char *who(const struct sockaddr_storage *from)
{
	static char text[INET_ADDRSTRLEN];

	if (from->ss_family != AF_INET)
		return "the host";
	return inet_ntop(AF_INET, &((const struct sockaddr_in *)from)->sin_addr, text,
			 sizeof(text));
}

static void echo(int fd)
{
	static char data[65536];
	ssize_t got, sent, at;

	send(fd, "!", 1, MSG_NOSIGNAL);
	while ((got = recv(fd, data, sizeof(data), 0)) > 0)
		for (at = 0; at < got; at += sent)
			if ((sent = send(fd, data + at, (size_t)(got - at), MSG_NOSIGNAL)) <= 0)
				return;
}

int main(int argc, char **argv)
{
	char heard[512], answer[1024];
	struct sockaddr_storage from;
	socklen_t length;
	int i, count = 0, fd, udp, size;
	ssize_t got;

	for (i = 1; i < argc && count < PORTS; i++) {
		name[count] = argv[i];
		watched[count++] = (struct pollfd){.fd = open_port(argv[i]), .events = POLLIN};
	}
	printf("ready\n");
	fflush(stdout);
	while (poll(watched, (nfds_t)count, -1) > 0) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		for (i = 0; i < count; i++) {
			if (!watched[i].revents)
				continue;
			udp = name[i][0] == 'u';
			length = sizeof(from);
			fd = udp ? watched[i].fd
				 : accept(watched[i].fd, (struct sockaddr *)&from, &length);
			got = recvfrom(fd, heard, sizeof(heard) - 1, 0,
				       udp ? (struct sockaddr *)&from : NULL, udp ? &length : NULL);
			heard[got > 0 ? got : 0] = '\0';
			size = snprintf(answer, sizeof(answer), "%s from %s heard %s", name[i],
					who(&from), heard);
			if (strcmp(heard, "echo") == 0 && fork() == 0) {
				echo(fd);
				_exit(0);
			}
			if (strcmp(heard, "echo") != 0)
				sendto(fd, answer, (size_t)size, MSG_NOSIGNAL,
				       udp ? (struct sockaddr *)&from : NULL, udp ? length : 0);
			if (!udp)
				close(fd);
			if (strcmp(heard, "quit") == 0)
				return 0;
		}
	}
	return 1;
}
