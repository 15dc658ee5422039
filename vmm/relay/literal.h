/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses in the place of host names. Programs read "10.1", "0x7f.0.0.1" and "2130706433" as
 * IPv4 addresses, so a name whose last label is a number is never taken for a name of DNS.
 */
#ifndef CORDON_RELAY_LITERAL_H
#define CORDON_RELAY_LITERAL_H

#include <stdbool.h>

/* Whether the last label of a normalised name is a decimal or hexadecimal (0x) number. */
bool literal_like(const char *name);

/* Whether it is an IPv4 address as inet_ntop() writes it. */
bool literal_ipv4(const char *name);

#endif
