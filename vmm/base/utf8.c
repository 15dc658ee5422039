/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/utf8.h"

#include <string.h>

size_t utf8_length(const char *bytes, size_t left)
{
	const uint8_t *text = (const uint8_t *)bytes;
	size_t length = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4, i;
	uint32_t value;

	if (length == 1)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4 || length > left)
		return 0;
	value = text[0] & (0x7fu >> length);
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3f);
	}
	if (value < (length == 2   ? 0x80u
		     : length == 3 ? 0x800u
				   : 0x10000u) ||
	    value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	return length;
}

uint32_t utf8_value(const char *bytes, size_t length)
{
	const uint8_t *text = (const uint8_t *)bytes;
	uint32_t value = length == 1 ? text[0] : text[0] & (0x7fu >> length);
	size_t i;

	for (i = 1; i < length; i++)
		value = value << 6 | (text[i] & 0x3f);
	return value;
}

bool utf8_is_partial(const char *bytes, size_t left)
{
	char whole[4];
	size_t i;

	if (left == 0 || left > 3 || (uint8_t)bytes[0] < 0xc2)
		return false;
	/* If any continuation completes the character, the lowest or the highest one does. */
	memcpy(whole, bytes, left);
	for (i = left; i < 4; i++)
		whole[i] = (char)0x80;
	if (utf8_length(whole, 4) > left)
		return true;
	for (i = left; i < 4; i++)
		whole[i] = (char)0xbf;
	return utf8_length(whole, 4) > left;
}
