/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock/packet.h"

#include "devices/vsock/vsock.h"
#include "vmm/base/bytes.h"

/* Where each field lies (little endian, packed). */
#define AT_SRC_CID   0
#define AT_DST_CID   8
#define AT_SRC_PORT  16
#define AT_DST_PORT  20
#define AT_LENGTH    24
#define AT_TYPE	     28
#define AT_OP	     30
#define AT_FLAGS     32
#define AT_BUF_ALLOC 36
#define AT_FWD_CNT   40

void vsock_header_decode(struct vsock_header *header, const uint8_t from[VSOCK_HEADER_BYTES])
{
	header->src_cid = load_le64(from + AT_SRC_CID);
	header->dst_cid = load_le64(from + AT_DST_CID);
	header->src_port = load_le32(from + AT_SRC_PORT);
	header->dst_port = load_le32(from + AT_DST_PORT);
	header->length = load_le32(from + AT_LENGTH);
	header->type = load_le16(from + AT_TYPE);
	header->op = load_le16(from + AT_OP);
	header->flags = load_le32(from + AT_FLAGS);
	header->buf_alloc = load_le32(from + AT_BUF_ALLOC);
	header->fwd_cnt = load_le32(from + AT_FWD_CNT);
}

void vsock_header_encode(const struct vsock_header *header, uint8_t to[VSOCK_HEADER_BYTES])
{
	store_le64(to + AT_SRC_CID, header->src_cid);
	store_le64(to + AT_DST_CID, header->dst_cid);
	store_le32(to + AT_SRC_PORT, header->src_port);
	store_le32(to + AT_DST_PORT, header->dst_port);
	store_le32(to + AT_LENGTH, header->length);
	store_le16(to + AT_TYPE, header->type);
	store_le16(to + AT_OP, header->op);
	store_le32(to + AT_FLAGS, header->flags);
	store_le32(to + AT_BUF_ALLOC, header->buf_alloc);
	store_le32(to + AT_FWD_CNT, header->fwd_cnt);
}

enum vsock_verdict vsock_header_check(const struct vsock_header *header, uint64_t guest_cid,
				      uint64_t payload)
{
	/* An RST is never answered, or two sides could do so for ever. */
	enum vsock_verdict no_socket =
		header->op == VSOCK_OP_RST ? VSOCK_PACKET_DROP : VSOCK_PACKET_NO_SOCKET;

	if (header->src_cid != guest_cid)
		return VSOCK_PACKET_DROP;
	/* A connection to a CID that nobody has fails at once instead of after a time-out. */
	if (header->dst_cid != VSOCK_HOST_CID)
		return no_socket;
	if (header->type != VSOCK_TYPE_STREAM)
		return no_socket;
	if (header->op == VSOCK_OP_INVALID || header->op >= VSOCK_OPS)
		return VSOCK_PACKET_BROKEN;
	if (header->length > payload && header->op != VSOCK_OP_RST)
		return VSOCK_PACKET_BROKEN;
	return VSOCK_PACKET_GOOD;
}
