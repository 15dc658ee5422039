/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/net/offload.h"

#include <string.h>

#include "vmm/base/bytes.h"

#define AT(field) offsetof(struct virtio_net_hdr_v1, field)
#define CHECKSUM  2 /* bytes */

_Static_assert(sizeof(struct virtio_net_hdr_v1) == NET_OFFLOAD_HEADER, "the header's size");

bool net_offload_valid(const struct net_card_offload *offload, size_t length)
{
	if (offload->partial && (size_t)offload->start + offload->offset + CHECKSUM > length)
		return false;
	if (offload->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (offload->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 &&
	    offload->gso_type != VIRTIO_NET_HDR_GSO_TCPV6)
		return false;
	return offload->partial && offload->gso_size > 0 && offload->headers <= length;
}

bool net_offload_read(struct net_card_offload *offload, const uint8_t *header, size_t length)
{
	*offload = (struct net_card_offload){.gso_type = header[AT(gso_type)]};
	if (header[AT(flags)] & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		offload->partial = true;
		offload->start = load_le16(header + AT(csum_start));
		offload->offset = load_le16(header + AT(csum_offset));
	}
	if (offload->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		offload->gso_size = load_le16(header + AT(gso_size));
		offload->headers = load_le16(header + AT(hdr_len));
	}
	return net_offload_valid(offload, length);
}

void net_offload_write(const struct net_card_offload *offload, uint8_t *header)
{
	memset(header, 0, NET_OFFLOAD_HEADER);
	if (offload->partial) {
		header[AT(flags)] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		store_le16(header + AT(csum_start), offload->start);
		store_le16(header + AT(csum_offset), offload->offset);
	}
	if (offload->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		header[AT(gso_type)] = offload->gso_type;
		store_le16(header + AT(gso_size), offload->gso_size);
		store_le16(header + AT(hdr_len), offload->headers);
	}
}
