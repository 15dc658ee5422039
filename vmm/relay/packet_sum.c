/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum, and the properties of addresses that frames depend on. */
#include "vmm/base/bytes.h"
#include "vmm/base/special.h"
#include "vmm/relay/packet_internal.h"

/* Two numbers at a time: every x86-64 has such registers. */
typedef uint64_t lanes __attribute__((vector_size(16)));

/*
 * The words are added as the processor has them, low byte first, and the sum's bytes are swapped at
 * the end: that is the same (RFC 1071, section 2). No lane overflows before 2^32 rounds.
 */
uint32_t packet_sum(uint32_t sum, const uint8_t *data, size_t length)
{
	const lanes low = {UINT32_MAX, UINT32_MAX};
	lanes even = {0, 0}, odd = {0, 0}, first, second;
	uint64_t wide;

	for (; length >= 32; data += 32, length -= 32) {
		memcpy(&first, data, sizeof(first));
		memcpy(&second, data + 16, sizeof(second));
		even += (first & low) + (second & low);
		odd += (first >> 32) + (second >> 32);
	}
	wide = even[0] + even[1] + odd[0] + odd[1];
	for (; length >= 4; data += 4, length -= 4)
		wide += load_le32(data);
	for (; length >= 2; data += 2, length -= 2)
		wide += load_le16(data);
	if (length > 0)
		wide += *data;
	wide = (wide & UINT32_MAX) + (wide >> 32);
	wide = (wide & 0xffff) + (wide >> 16);
	wide = (wide & 0xffff) + (wide >> 16);
	wide = __builtin_bswap16((uint16_t)((wide & 0xffff) + (wide >> 16))) + (uint64_t)sum;
	return (uint32_t)((wide & UINT32_MAX) + (wide >> 32));
}

uint16_t packet_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t packet_pseudo_sum(const uint8_t *ip, uint8_t protocol, size_t length)
{
	const uint32_t sum = protocol + (uint32_t)length;

	if (protocol == IPPROTO_ICMP)
		return 0;
	if (ip[0] >> 4 == 4)
		return packet_sum(sum, ip + 12, 8);
	return packet_sum(sum, ip + 8, 2 * IP_BYTES);
}

bool packet_is_group(const struct ip_address *address)
{
	if (address->family == AF_INET)
		return address->bytes[0] >> 4 == 0xe;
	return address->bytes[0] == 0xff;
}

bool packet_crosses(const struct ip_address *address)
{
	const struct special_range *range;

	if (address->family == AF_INET) {
		range = special_range_ipv4(load_be32(address->bytes));
	} else {
		/* All ranges of IPv6 that stay begin so: most packets need no search of the table.
		 */
		if (address->bytes[0] != 0 && address->bytes[0] != 0xff)
			return true;
		range = special_range(AF_INET6, address->bytes);
	}
	return !range || !range->stays;
}

bool packet_is_solicited_node(const struct ip_address *group, const struct ip_address *address)
{
	/* ff02::1:ffXX:XXXX with the last 24 bits of the address. */
	static const uint8_t prefix[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};

	return memcmp(group->bytes, prefix, sizeof(prefix)) == 0 &&
	       memcmp(group->bytes + 13, address->bytes + 13, 3) == 0;
}
