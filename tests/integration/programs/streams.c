/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP client for the servers of net_servers.py; its data are those of BLOCK there.
 *
 *     down HOST PORT NUMBER	 sends NUMBER as a line and becomes sha256sum of the reply
 *     say HOST PORT NUMBER	 the same with cat
 *     take HOST PORT NUMBER	 the same, but prints the length of the reply
 *     up HOST PORT BYTES	 sends so many bytes and a FIN, shows the reply
 *     stuck HOST PORT BYTES GO	 the same; connects to port GO when nothing passes any more
 *     crowd HOST PORT COUNT	 so many connections at once: how many got back what they sent
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK	  65521
#define CROWD_MAX 4096

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

/* Returns a connected socket, or -1 with errno. */
static int reach(const struct addrinfo *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

static void become(int fd, const char *number, const char *program)
{
	dprintf(fd, "%s\n", number);
	dup2(fd, STDIN_FILENO);
	execlp(program, program, (char *)NULL);
	fail(program);
}

static int show_reply(int fd)
{
	char reply[4096];
	ssize_t got;

	while ((got = read(fd, reply, sizeof(reply))) > 0)
		fwrite(reply, 1, (size_t)got, stdout);
	return got < 0 ? fail("read") : 0;
}

/* Few system calls and no copy but the kernel's, so that bench/boot can count what the network
 * costs. */
static int take(int fd, const char *number)
{
	static char reply[1 << 18];
	long length = 0;
	ssize_t got;

	dprintf(fd, "%s\n", number);
	while ((got = read(fd, reply, sizeof(reply))) > 0)
		length += got;
	printf("%ld\n", length);
	return got < 0 ? fail("read") : 0;
}

/* Connect to port `go`, which tells the server to read. */
static int ring(const struct sockaddr *to, int go)
{
	struct sockaddr_in other = *(const struct sockaddr_in *)to;
	int bell = socket(AF_INET, SOCK_STREAM, 0);

	other.sin_port = htons((unsigned short)go);
	if (connect(bell, (struct sockaddr *)&other, sizeof(other)) < 0)
		return fail("go");
	close(bell);
	return 0;
}

/* `go`: the port to connect to when nothing passes any more, or 0. */
static int send_all(int fd, long bytes, const struct sockaddr *to, int go)
{
	static unsigned char block[2 * BLOCK];
	struct pollfd ready = {.fd = fd, .events = POLLOUT};

	for (unsigned int i = 0; i < 2 * BLOCK; i++)
		block[i] = (unsigned char)((i % BLOCK) * (i % BLOCK) * 31 + i % BLOCK +
					   (i % BLOCK >> 8) * 7);
	if (go != 0) {
		const int small = 1 << 16;

		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	for (long sent = 0; sent < bytes;) {
		long want = bytes - sent < BLOCK ? bytes - sent : BLOCK;
		ssize_t ret;

		if (go != 0 && poll(&ready, 1, 3000) == 0) {
			printf("blocked\n");
			if (ring(to, go) != 0)
				return 1;
			go = 0;
			fcntl(fd, F_SETFL, 0);
		}
		ret = write(fd, block + sent % BLOCK, (size_t)want);
		if (ret < 0 && errno != EAGAIN)
			return fail("write");
		sent += ret > 0 ? ret : 0;
	}
	if (go != 0) {
		printf("never blocked\n");
		if (ring(to, go) != 0)
			return 1;
	}
	fcntl(fd, F_SETFL, 0);
	shutdown(fd, SHUT_WR);
	return show_reply(fd);
}

static int crowd(const struct addrinfo *to, int count)
{
	static int fds[CROWD_MAX];
	struct rlimit files = {CROWD_MAX + 64, CROWD_MAX + 64};
	char text[32], reply[32];
	int right = 0;

	if (count > CROWD_MAX || setrlimit(RLIMIT_NOFILE, &files) < 0)
		return fail("limit");
	for (int i = 0; i < count; i++) {
		fds[i] = reach(to);
		if (fds[i] < 0)
			return fail("connect");
		/* Eight bytes of its own, and how many the server waits for. */
		if (dprintf(fds[i], "%08d%d\n", i, count) < 0)
			return fail("write");
	}
	for (int i = 0; i < count; i++) {
		int length = snprintf(text, sizeof(text), "%08d%d\n", i, count);

		if (recv(fds[i], reply, sizeof(reply), 0) == length &&
		    memcmp(text, reply, (size_t)length) == 0)
			right++;
		close(fds[i]);
	}
	printf("%d of %d\n", right, count);
	return right == count ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *to;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 5 || getaddrinfo(argv[2], argv[3], &hints, &to) != 0) {
		printf("no such name\n");
		return 1;
	}
	if (strcmp(argv[1], "crowd") == 0)
		return crowd(to, atoi(argv[4]));
	fd = reach(to);
	if (fd < 0)
		return fail("connect");
	if (strcmp(argv[1], "down") == 0)
		become(fd, argv[4], "sha256sum");
	else if (strcmp(argv[1], "say") == 0)
		become(fd, argv[4], "cat");
	else if (strcmp(argv[1], "take") == 0)
		return take(fd, argv[4]);
	else
		return send_all(fd, atol(argv[4]), to->ai_addr, argc > 5 ? atoi(argv[5]) : 0);
	return 1;
}
