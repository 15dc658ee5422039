/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/rights.h"

#include <string.h>

#include "vmm/base/fd.h"

void rights_put(struct msghdr *message, struct rights *space, const int *fd, unsigned count)
{
	struct cmsghdr *header;

	if (count == 0)
		return;
	memset(space, 0, sizeof(*space));
	message->msg_control = space->bytes;
	message->msg_controllen = CMSG_SPACE(count * sizeof(int));
	header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fd, count * sizeof(int));
}

void rights_room(struct msghdr *message, struct rights *space, unsigned count)
{
	message->msg_control = space->bytes;
	/* CMSG_SPACE rounds up: one descriptor more might arrive. */
	message->msg_controllen = CMSG_LEN(count * sizeof(int));
}

unsigned rights_take(struct msghdr *message, int *fd, unsigned most)
{
	struct cmsghdr *header;
	unsigned taken = 0;
	size_t count, i;
	int one;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
		    header->cmsg_len < CMSG_LEN(0))
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&one, CMSG_DATA(header) + i * sizeof(one), sizeof(one));
			if (taken < most)
				fd[taken++] = one;
			else
				fd_close(&one);
		}
	}
	return taken;
}
