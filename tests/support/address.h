/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 addresses in host byte order. */
#ifndef CORDON_TEST_ADDRESS_H
#define CORDON_TEST_ADDRESS_H

#include <stdint.h>

#define ADDRESS(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

#define NET_GUEST ADDRESS(192, 0, 2, 2)	    /* a sandbox's own */
#define NET_PEER  ADDRESS(93, 184, 216, 34) /* in the public Internet */

#endif
