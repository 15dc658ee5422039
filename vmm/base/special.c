/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/special.h"

#include <string.h>
#include <sys/socket.h>

#include "vmm/base/bytes.h"

/* IPv4 first. A range that lies within another one precedes it. */
static const struct special_range ranges[] = {
	{AF_INET, 8, {0}, true, "this network"},
	{AF_INET, 8, {10}, false, "private"},
	{AF_INET, 10, {100, 64}, false, "shared: carrier NAT, some VPNs"},
	{AF_INET, 8, {127}, true, "loopback"},
	{AF_INET, 16, {169, 254}, false, "link-local; metadata services with credentials"},
	{AF_INET, 12, {172, 16}, false, "private"},
	{AF_INET, 24, {192, 0, 0}, false, "protocol assignments"},
	{AF_INET, 24, {192, 0, 2}, false, "documentation, and the sandbox's own network"},
	{AF_INET, 24, {192, 88, 99}, false, "6to4 relays"},
	{AF_INET, 16, {192, 168}, false, "private"},
	{AF_INET, 15, {198, 18}, false, "benchmarks"},
	{AF_INET, 24, {198, 51, 100}, false, "documentation"},
	{AF_INET, 24, {203, 0, 113}, false, "documentation"},
	{AF_INET, 4, {224}, true, "multicast"},
	{AF_INET, 4, {240}, true, "reserved, and broadcast"},
	{AF_INET6, 96, {0}, true, "unspecified, loopback, IPv4-compatible"},
	{AF_INET6, 96, {[10] = 0xff, 0xff}, true, "IPv4-mapped"},
	{AF_INET6, 96, {[8] = 0xff, 0xff}, true, "IPv4-translated"},
	{AF_INET6, 96, {0, 0x64, 0xff, 0x9b}, false, "NAT64"},
	{AF_INET6, 48, {0, 0x64, 0xff, 0x9b, 0, 1}, false, "NAT64 of a local network"},
	{AF_INET6, 64, {0x01}, false, "discard"},
	{AF_INET6, 64, {0x01, [7] = 0x01}, false, "dummy prefix"},
	{AF_INET6, 32, {0x20, 0x01}, false, "Teredo"},
	{AF_INET6, 23, {0x20, 0x01}, false, "protocol assignments"},
	{AF_INET6, 32, {0x20, 0x01, 0x0d, 0xb8}, false, "documentation"},
	{AF_INET6, 16, {0x20, 0x02}, false, "6to4"},
	{AF_INET6, 20, {0x3f, 0xff}, false, "documentation"},
	{AF_INET6, 16, {0x5f}, false, "segment routing"},
	{AF_INET6, 7, {0xfc}, false, "private"},
	{AF_INET6, 10, {0xfe, 0x80}, false, "link-local"},
	{AF_INET6, 10, {0xfe, 0xc0}, false, "site-local"},
	{AF_INET6, 8, {0xff}, true, "multicast"},
};

bool special_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return memcmp(a, b, bytes) == 0 &&
	       (rest == 0 ||
		(a[bytes] & 0xff00 >> rest & 0xff) == (b[bytes] & 0xff00 >> rest & 0xff));
}

const struct special_range *special_range(unsigned family, const uint8_t *address)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		if (ranges[i].family == family &&
		    special_same_prefix(ranges[i].network, address, ranges[i].prefix))
			return &ranges[i];
	return NULL;
}

const struct special_range *special_range_ipv4(uint32_t address)
{
	size_t i;

	/* Called once a frame, so it compares integers. */
	for (i = 0; i < ARRAY_SIZE(ranges) && ranges[i].family == AF_INET; i++)
		if ((load_be32(ranges[i].network) ^ address) >> (32 - ranges[i].prefix) == 0)
			return &ranges[i];
	return NULL;
}

const struct special_range *special_range_at(size_t index)
{
	return index < ARRAY_SIZE(ranges) ? &ranges[index] : NULL;
}
