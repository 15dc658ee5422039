/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first process that is not our agent: does the one thing that the file /mode of its initramfs
 * names. Tests use it to see how the monitor handles a guest that goes its own way.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmm/agent/wire.h"

/* struct sockaddr_vm, vsock(7); the C library need not have the kernel's headers. */
struct vm_address {
	sa_family_t family;
	unsigned short reserved;
	unsigned int port;
	unsigned int cid;
	unsigned char rest[4];
};

#define FAMILY_VSOCK 40
#define HOST_CID     2
#define ANY_CID	     0xffffffffu

static int say(const char *text)
{
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			return -1;
		close(fd);
	}
	return 0;
}

static int connect_agent(unsigned int local_port)
{
	struct vm_address local = {.family = FAMILY_VSOCK, .port = local_port, .cid = ANY_CID};
	struct vm_address host = {.family = FAMILY_VSOCK, .port = AGENT_PORT, .cid = HOST_CID};
	int fd = socket(FAMILY_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0) {
		say("init: no connection to the monitor\n");
		return -1;
	}
	return fd;
}

static void send_hello(int fd, unsigned int major)
{
	uint8_t frame[AGENT_HEADER_SIZE + AGENT_HELLO_SIZE] = {0};
	uint8_t *hello = frame + AGENT_HEADER_SIZE;

	agent_put_header(frame, AGENT_HELLO, 0, 0, AGENT_HELLO_SIZE);
	agent_put32(hello + AGENT_HELLO_AT_MAGIC, AGENT_MAGIC);
	agent_put16(hello + AGENT_HELLO_AT_MAJOR, (uint16_t)major);
	agent_put32(hello + AGENT_HELLO_AT_CONNECTIONS, 1);
	if (write(fd, frame, sizeof(frame)) != sizeof(frame))
		say("init: hello was not sent\n");
}

static void read_some(int fd)
{
	char bytes[4096];

	if (read(fd, bytes, sizeof(bytes)) <= 0)
		say("init: nothing came from the monitor\n");
}

/* Reads everything, replies to nothing. */
static void swallow(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		continue;
}

/* False agents. All but `vanish` then wait for the monitor to end the guest. */
static void play_agent(const char *mode)
{
	static const char garbage[] = "GET / HTTP/1.1\r\nHost: monitor\r\n\r\n";
	int fd = connect_agent(strcmp(mode, "unprivileged") == 0 ? 40000 : AGENT_SOURCE_PORT_MAX);

	if (strcmp(mode, "version") == 0) {
		send_hello(fd, AGENT_VERSION_MAJOR + 1);
	} else if (strcmp(mode, "garbage") == 0) {
		if (write(fd, garbage, sizeof(garbage)) < 0)
			say("init: garbage was not sent\n");
	} else if (strcmp(mode, "unprivileged") == 0) {
		send_hello(fd, AGENT_VERSION_MAJOR);
	} else if (strcmp(mode, "vanish") == 0) {
		send_hello(fd, AGENT_VERSION_MAJOR);
		read_some(fd);
		close(fd);
	} else if (strcmp(mode, "silent") == 0) {
		send_hello(fd, AGENT_VERSION_MAJOR);
		swallow(fd);
	}
}

int main(void)
{
	char mode[32] = "";
	int fd = open("/mode", O_RDONLY);

	if (fd < 0 || read(fd, mode, sizeof(mode) - 1) < 0)
		return 1;
	mkdir("/dev", 0755);
	mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
	say("init: mode ");
	say(mode);
	say("\n");
	if (strcmp(mode, "exit") == 0)
		return 0; /* the kernel panics */
	if (strcmp(mode, "reboot") == 0)
		reboot(RB_AUTOBOOT);
	else if (strcmp(mode, "poweroff") == 0)
		reboot(RB_POWER_OFF);
	else if (strcmp(mode, "halt") == 0)
		reboot(RB_HALT_SYSTEM);
	else
		play_agent(mode);
	for (;;)
		pause();
}
