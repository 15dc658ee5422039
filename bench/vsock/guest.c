/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's part of the vsock benchmark: serves one round after another. Linked statically. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/vsock/server.h"

/* As in the kernel; the guest's C library has no header for it. */
struct vm_address {
	uint16_t family, reserved;
	uint32_t port, cid;
	uint8_t zero[4];
};

/* Arguments: the number of streams of each round. */
int main(int argc, char **argv)
{
	struct vm_address address = {.family = AF_VSOCK, .port = BENCH_PORT, .cid = UINT32_MAX};
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0), i, ret;

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, BENCH_STREAMS) < 0) {
		perror("bench: vsock");
		return EXIT_FAILURE;
	}
	puts("ready");
	fflush(stdout);
	for (i = 1; i < argc; i++) {
		ret = bench_serve(listener, NULL, (unsigned)atoi(argv[i]));
		if (ret < 0) {
			fprintf(stderr, "bench: round %d: %s\n", i, strerror(-ret));
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
