/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/address.h"

#include <stdio.h>

#include "vmm/base/bytes.h"

static const struct {
	uint32_t network;
	unsigned prefix;
} special[] = {
	{ADDRESS(0, 0, 0, 0), 8},	/* this network */
	{ADDRESS(10, 0, 0, 0), 8},	/* private */
	{ADDRESS(100, 64, 0, 0), 10},	/* shared: carrier NAT, some VPNs */
	{ADDRESS(127, 0, 0, 0), 8},	/* loopback */
	{ADDRESS(169, 254, 0, 0), 16},	/* link-local; 169.254.169.254 has cloud credentials */
	{ADDRESS(172, 16, 0, 0), 12},	/* private */
	{ADDRESS(192, 0, 0, 0), 24},	/* protocol assignments */
	{ADDRESS(192, 0, 2, 0), 24},	/* test, and our own */
	{ADDRESS(192, 88, 99, 0), 24},	/* 6to4 relays, long gone */
	{ADDRESS(192, 168, 0, 0), 16},	/* private */
	{ADDRESS(198, 18, 0, 0), 15},	/* benchmarks */
	{ADDRESS(198, 51, 100, 0), 24}, /* test */
	{ADDRESS(203, 0, 113, 0), 24},	/* test */
	{ADDRESS(224, 0, 0, 0), 3},	/* multicast, reserved, broadcast */
};

bool address_special(uint32_t address)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(special); i++)
		if (address_within(address, special[i].network, special[i].prefix))
			return true;
	return false;
}

const char *address_text(uint32_t address, char to[ADDRESS_TEXT])
{
	snprintf(to, ADDRESS_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 0xff,
		 address >> 8 & 0xff, address & 0xff);
	return to;
}
