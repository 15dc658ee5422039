/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a tap share. */
#ifndef CORDON_NET_TAP_INTERNAL_H
#define CORDON_NET_TAP_INTERNAL_H

#include "vmm/net/tap.h"

/*
 * Takes the IPv6 addresses of an interface, whose MTU is set, from the text of /proc/net/if_inet6:
 * the first global or unique local address in whose network the guest finds one. prefix6 is 0 if
 * there is none.
 */
void tap_read_ipv6(struct tap_wire *wire, const char *name, const char *text);

#endif
