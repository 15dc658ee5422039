/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what the relay sends, which the monitor takes for hostile: each function checks a message
 * whole and copies it. false: no relay that works sends this.
 *
 * Strings end in NUL. Names have only characters of names and addresses, methods and paths only
 * printable ASCII without spaces. Addresses are of a family that the request has, and canonical.
 *
 * data: what follows the message's type; it need not be aligned. Pure functions of bytes.
 */
#ifndef CORDON_RELAY_WIRE_CHECK_H
#define CORDON_RELAY_WIRE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/relay/wire.h"

/*
 * Bytes of the first frame of a message, its header included: link_ops.record of the frames' links.
 * More than length: malformed. What is shorter than a header is the owner's to refuse.
 */
size_t wire_frame(const uint8_t *data, size_t length);

bool wire_read_check(const uint8_t *data, size_t length, struct relay_check *to);

/*
 * *what: a constant, as guard_note() wants it: the relay may log only its own events, and forge
 * none of the monitor's. Characters of the texts that are not printable ASCII become '?'.
 */
bool wire_read_note(const uint8_t *data, size_t length, struct relay_note *to, const char **what);

bool wire_read_published(const uint8_t *data, size_t length, struct relay_published *to);
bool wire_read_stats(const uint8_t *data, size_t length, struct relay_stats *to);
bool wire_read_flow(const uint8_t *data, size_t length, struct relay_flow_info *to);

#endif
