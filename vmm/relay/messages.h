/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the monitor to the relay. */
#ifndef CORDON_RELAY_MESSAGES_H
#define CORDON_RELAY_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

/* link_ops.message of the link for messages: arg is the relay. */
void messages_take(void *arg, uint8_t *data, size_t length, int fd);

#endif
