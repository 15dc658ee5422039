/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/address.h"

#include <stdio.h>

#include "vmm/base/special.h"

bool address_special(uint32_t address)
{
	return special_range_ipv4(address) != NULL;
}

const char *address_text(uint32_t address, char to[ADDRESS_TEXT])
{
	snprintf(to, ADDRESS_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 0xff,
		 address >> 8 & 0xff, address & 0xff);
	return to;
}
