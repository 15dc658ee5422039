/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors in messages of Unix sockets: SCM_RIGHTS (unix(7), cmsg(3)). */
#ifndef CORDON_BASE_RIGHTS_H
#define CORDON_BASE_RIGHTS_H

#include <sys/socket.h>

#define RIGHTS_MAX 8 /* descriptors of a message */

/* Where they lie while the message is sent or received. */
struct rights {
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	};
};

/* Before sendmsg(2): adds count descriptors, which stay open here. 0: none. */
void rights_put(struct msghdr *message, struct rights *space, const int *fd, unsigned count);

/*
 * Before recvmsg(2): makes room for count descriptors. Of a message with more the kernel closes the
 * others, and sets MSG_CTRUNC.
 */
void rights_room(struct msghdr *message, struct rights *space, unsigned count);

/*
 * After recvmsg(2), also of a message that is then refused: takes the descriptors, at most `most`,
 * and closes any others. Returns their number.
 */
unsigned rights_take(struct msghdr *message, int *fd, unsigned most);

#endif
