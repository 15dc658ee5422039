/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints file system type and root of every mount of this mount namespace, also of those that are
 * covered and have no path: statmount(2) shows them to the namespace's root. Mounts are numbered.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATMOUNT    457
#define FIRST	     (1ull << 31) /* no mount has this number or a smaller one */
#define COUNT	     4096
#define WANT_ROOT    0x08u
#define WANT_FS_TYPE 0x20u

struct request {
	uint32_t size, spare;
	uint64_t mount, wanted;
};

struct reply {
	uint32_t size, options;
	uint64_t mask;
	uint32_t major, minor;
	uint64_t magic;
	uint32_t flags, fs_type; /* where in text */
	uint64_t id, parent;
	uint32_t old_id, old_parent;
	uint64_t attributes, propagation, peers, master, from;
	uint32_t root, point; /* where in text */
	uint64_t spare[50];
	char text[4096];
};

int main(void)
{
	static struct reply reply;
	struct request request = {.size = sizeof(request), .wanted = WANT_ROOT | WANT_FS_TYPE};
	unsigned i;

	for (i = 1; i <= COUNT; i++) {
		request.mount = FIRST + i;
		memset(&reply, 0, sizeof(reply));
		if (syscall(STATMOUNT, &request, &reply, sizeof(reply), 0) == 0)
			printf("%s %s\n", reply.text + reply.fs_type, reply.text + reply.root);
	}
	return 0;
}
