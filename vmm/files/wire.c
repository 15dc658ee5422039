/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/wire.h"

#include <string.h>

#include "vmm/base/bytes.h"

void reply_u8(struct p9_reply *reply, uint8_t value)
{
	uint8_t *at = reply_room(reply, 1);

	if (at)
		*at = value;
}

void reply_u16(struct p9_reply *reply, uint16_t value)
{
	uint8_t *at = reply_room(reply, 2);

	if (at)
		store_le16(at, value);
}

void reply_u32(struct p9_reply *reply, uint32_t value)
{
	uint8_t *at = reply_room(reply, 4);

	if (at)
		store_le32(at, value);
}

void reply_u64(struct p9_reply *reply, uint64_t value)
{
	uint8_t *at = reply_room(reply, 8);

	if (at)
		store_le64(at, value);
}

void reply_string(struct p9_reply *reply, const char *text, size_t length)
{
	uint8_t *at;

	reply_u16(reply, (uint16_t)length);
	at = reply_room(reply, length);
	if (at)
		memcpy(at, text, length);
}
