/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A published port: a port of the host that leads to one of the guest. The user gives it on the
 * command line, so no rule of the policy decides about it.
 */
#ifndef CORDON_NET_PUBLISH_H
#define CORDON_NET_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define PUBLISH_MAX	 16 /* of a sandbox */
#define PUBLISH_TEXT	 40
#define PUBLISH_LOOPBACK UINT32_C(0x7f000001) /* the default address */

struct publish {
	uint32_t address; /* of the host, IPv4; 0: all */
	uint16_t host_port, guest_port;
	bool udp;
};

/*
 * Parses "[ADDRESS:]HOSTPORT:GUESTPORT[/tcp|/udp]"; the default address is the host's loopback. 0
 * or -EINVAL with a message.
 */
int publish_parse(struct publish *out, const char *text, struct err *err);

/* The full form, as publish_parse() accepts it. */
const char *publish_text(const struct publish *publish, char to[PUBLISH_TEXT]);

/* Whether both need the same port of the host. */
bool publish_clash(const struct publish *a, const struct publish *b);

/*
 * Whether the port of the host is available: binds it and releases it again. Another program may
 * take it afterwards, but most errors are reported early in this way. 0 or -errno (EADDRINUSE,
 * EACCES, EADDRNOTAVAIL) with a message.
 */
int publish_probe(const struct publish *publish, struct err *err);

#endif
