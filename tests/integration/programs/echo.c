/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listens on a vsock port and sends back what it receives, on as many connections at once as there
 * are. Argument: the port. Prints "ready" when it listens, and ends with its stdin.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 2048

/* struct sockaddr_vm, vsock(7); the C library need not have the kernel's headers. */
struct vm_address {
	uint16_t family, reserved;
	uint32_t port, cid;
	uint8_t zero[4];
};

#define FAMILY_VSOCK 40

static struct pollfd polls[MOST + 2];
static char bytes[65536];

/* Returns false if the connection is over. */
static int echo(int fd)
{
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0), done = 0, sent;

	while (done < n) {
		sent = send(fd, bytes + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (sent < 0)
			return 0;
		done += sent;
	}
	return n > 0;
}

int main(int argc, char **argv)
{
	struct vm_address address = {.family = FAMILY_VSOCK, .cid = UINT32_MAX};
	struct rlimit files = {.rlim_cur = MOST + 16, .rlim_max = MOST + 16};
	nfds_t count = 2, i;

	address.port = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
	setrlimit(RLIMIT_NOFILE, &files);
	polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	polls[1] = (struct pollfd){.fd = socket(FAMILY_VSOCK, SOCK_STREAM, 0), .events = POLLIN};
	if (bind(polls[1].fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(polls[1].fd, 128) < 0) {
		perror("echo");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polls, count, -1) < 0)
			return 1;
		if (polls[0].revents && read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0)
			return 0;
		for (i = 2; i < count; i++) {
			if (!polls[i].revents || echo(polls[i].fd))
				continue;
			close(polls[i].fd);
			polls[i--] = polls[--count];
		}
		if (polls[1].revents && count < MOST + 2) {
			polls[count] = (struct pollfd){.fd = accept(polls[1].fd, NULL, NULL),
						       .events = POLLIN};
			count += polls[count].fd >= 0;
		}
	}
}
