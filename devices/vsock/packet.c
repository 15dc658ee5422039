/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock/packet.h"

#include <stddef.h>

#include "devices/vsock/vsock.h"
#include "vmm/base/bytes.h"

/* The offset of a field (little endian, packed). */
#define AT(field) offsetof(struct virtio_vsock_hdr, field)

_Static_assert(sizeof(struct virtio_vsock_hdr) == VSOCK_HEADER_BYTES, "5.10.6");

void vsock_header_decode(struct vsock_header *header, const uint8_t from[VSOCK_HEADER_BYTES])
{
	header->src_cid = load_le64(from + AT(src_cid));
	header->dst_cid = load_le64(from + AT(dst_cid));
	header->src_port = load_le32(from + AT(src_port));
	header->dst_port = load_le32(from + AT(dst_port));
	header->length = load_le32(from + AT(len));
	header->type = load_le16(from + AT(type));
	header->op = load_le16(from + AT(op));
	header->flags = load_le32(from + AT(flags));
	header->buf_alloc = load_le32(from + AT(buf_alloc));
	header->fwd_cnt = load_le32(from + AT(fwd_cnt));
}

void vsock_header_encode(const struct vsock_header *header, uint8_t to[VSOCK_HEADER_BYTES])
{
	store_le64(to + AT(src_cid), header->src_cid);
	store_le64(to + AT(dst_cid), header->dst_cid);
	store_le32(to + AT(src_port), header->src_port);
	store_le32(to + AT(dst_port), header->dst_port);
	store_le32(to + AT(len), header->length);
	store_le16(to + AT(type), header->type);
	store_le16(to + AT(op), header->op);
	store_le32(to + AT(flags), header->flags);
	store_le32(to + AT(buf_alloc), header->buf_alloc);
	store_le32(to + AT(fwd_cnt), header->fwd_cnt);
}

enum vsock_verdict vsock_header_check(const struct vsock_header *header, uint64_t guest_cid,
				      uint64_t payload)
{
	/* Never reply to an RST with an RST: two sides could go on for ever. */
	enum vsock_verdict no_socket =
		header->op == VIRTIO_VSOCK_OP_RST ? VSOCK_PACKET_DROP : VSOCK_PACKET_NO_SOCKET;

	if (header->src_cid != guest_cid)
		return VSOCK_PACKET_DROP;
	/* A connection to an unknown CID fails at once instead of after a time-out. */
	if (header->dst_cid != VSOCK_HOST_CID)
		return no_socket;
	if (header->type != VIRTIO_VSOCK_TYPE_STREAM)
		return no_socket;
	if (header->op == VIRTIO_VSOCK_OP_INVALID || header->op >= VSOCK_OP_COUNT)
		return VSOCK_PACKET_BROKEN;
	if (header->length > payload && header->op != VIRTIO_VSOCK_OP_RST)
		return VSOCK_PACKET_BROKEN;
	return VSOCK_PACKET_GOOD;
}
