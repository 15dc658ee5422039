/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins: the addresses that the guest's DNS queries returned for each name, and for how long. A rule
 * with a name opens exactly these.
 *
 * An address is 16 bytes in network byte order: IPv6, or IPv4 as an IPv4-mapped one (RFC 4291,
 * 2.5.5.2). A reply with a mapped address must not be pinned, and is not: it is special.
 *
 * A pin holds for the record's TTL plus PIN_GRACE_NS, so that the guest can still connect, also
 * when the TTL is 0. Open connections outlive it. Bounded: the least recently renewed pin makes
 * room for a new one. Times are nanoseconds of guest time. Not thread safe.
 */
#ifndef CORDON_NET_DNS_PINS_H
#define CORDON_NET_DNS_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/bytes.h"
#include "vmm/net/siphash.h"

#define PINS_MAX      4096
#define PIN_ADDRESS   16
#define PIN_NAMES_MAX 16		    /* names returned for one address */
#define PIN_GRACE_NS  UINT64_C(30000000000) /* 30 s */
#define PIN_TTL_MAX   3600u		    /* seconds; a longer TTL counts as this */

struct pin {
	char *name; /* normalised: see dns.h */
	uint8_t address[PIN_ADDRESS];
	uint64_t until_ns;
	uint32_t chain, newer, older; /* indices; 0: none. The oldest was renewed least recently */
};

struct dns_pins {
	struct pin *pin; /* [0] is not used */
	uint32_t *bucket;
	uint32_t unused, fresh, count, oldest, newest;
	struct siphash_key key;
};

/* The 16 bytes of an IPv4 address in host byte order. */
static inline void dns_pins_ipv4(uint32_t address, uint8_t to[PIN_ADDRESS])
{
	memset(to, 0, PIN_ADDRESS);
	to[10] = to[11] = 0xff;
	store_be32(to + 12, address);
}

/* 0 or -errno. dns_pins_destroy() works also after a failure, and on a zeroed struct. */
int dns_pins_init(struct dns_pins *pins);
void dns_pins_destroy(struct dns_pins *pins);

/* Pins an address to a name for ttl seconds. 0 or -ENOMEM. */
int dns_pins_add(struct dns_pins *pins, const char *name, const uint8_t address[PIN_ADDRESS],
		 uint32_t ttl, uint64_t now_ns);

/* Whether the name opens the address now. */
bool dns_pins_have(const struct dns_pins *pins, const char *name,
		   const uint8_t address[PIN_ADDRESS], uint64_t now_ns);

/*
 * The names that open an address now, the newest first; at most PIN_NAMES_MAX. They are valid until
 * the next dns_pins_add(). Returns their number.
 */
unsigned dns_pins_names(const struct dns_pins *pins, const uint8_t address[PIN_ADDRESS],
			uint64_t now_ns, const char *name[PIN_NAMES_MAX]);

void dns_pins_clear(struct dns_pins *pins);

#endif
