/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors, as a hostile peer sends them. */
#ifndef CORDON_TEST_SEND_FDS_H
#define CORDON_TEST_SEND_FDS_H

#include <stddef.h>
#include <sys/types.h>

#define SEND_FDS_MAX 250

/* Sends bytes, and count times the descriptor fd, in one message. As sendmsg(2). */
ssize_t send_fds(int socket, const void *bytes, size_t length, int fd, unsigned count);

#endif
