/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/tcp_segment.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"

#define HEADER	     20 /* bytes without options */
#define OPTION_END   0
#define OPTION_NOP   1
#define OPTION_MSS   2
#define OPTION_SCALE 3

static void parse_options(const uint8_t *at, size_t left, struct tcp_segment *out)
{
	while (left > 0 && at[0] != OPTION_END) {
		size_t length = at[0] == OPTION_NOP ? 1 : left > 1 ? at[1] : 0;

		if (length > left || length < (at[0] == OPTION_NOP ? 1 : 2))
			return;
		if (at[0] == OPTION_MSS && length == 4) {
			out->mss = load_be16(at + 2);
		} else if (at[0] == OPTION_SCALE && length == 3) {
			out->has_scale = true;
			out->scale = at[2];
		}
		at += length;
		left -= length;
	}
}

int tcp_segment_parse(const uint8_t *bytes, size_t length, struct tcp_segment *out)
{
	size_t header;

	if (length < HEADER)
		return -EINVAL;
	header = (size_t)(bytes[12] >> 4) * 4;
	if (header < HEADER || header > length)
		return -EINVAL;
	*out = (struct tcp_segment){
		.sequence = load_be32(bytes + 4),
		.acknowledged = load_be32(bytes + 8),
		.window = load_be16(bytes + 14),
		.flags = bytes[13] & (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK),
		.data = bytes + header,
		.length = length - header,
	};
	if (out->flags & TCP_SYN)
		parse_options(bytes + HEADER, header - HEADER, out);
	return 0;
}

size_t tcp_segment_header(const struct tcp_segment *segment, uint16_t source_port,
			  uint16_t target_port, uint8_t *to)
{
	size_t length = HEADER;

	memset(to, 0, HEADER);
	store_be16(to, source_port);
	store_be16(to + 2, target_port);
	store_be32(to + 4, segment->sequence);
	store_be32(to + 8, segment->acknowledged);
	to[13] = segment->flags;
	store_be16(to + 14, segment->window);
	if (segment->mss) {
		to[length] = OPTION_MSS;
		to[length + 1] = 4;
		store_be16(to + length + 2, segment->mss);
		length += 4;
	}
	if (segment->has_scale) {
		to[length] = OPTION_NOP;
		to[length + 1] = OPTION_SCALE;
		to[length + 2] = 3;
		to[length + 3] = segment->scale;
		length += 4;
	}
	to[12] = (uint8_t)(length / 4 << 4);
	return length;
}
