/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A published port: one of the host that leads to one of the guest. The user's own word on the
 * command line, so no rule of the policy is asked about it.
 */
#ifndef CORDON_NET_PUBLISH_H
#define CORDON_NET_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define PUBLISH_MAX	 16 /* of a sandbox */
#define PUBLISH_TEXT	 40
#define PUBLISH_LOOPBACK UINT32_C(0x7f000001) /* the address where none is written */

struct publish {
	uint32_t address; /* of the host, IPv4; 0: all */
	uint16_t host_port, guest_port;
	bool udp;
};

/*
 * "[ADDRESS:]HOSTPORT:GUESTPORT[/tcp|/udp]"; without an address it is the host's loopback. 0 or
 * -EINVAL with a message.
 */
int publish_parse(struct publish *out, const char *text, struct err *err);

/* As publish_parse() takes it, in full. */
const char *publish_text(const struct publish *publish, char to[PUBLISH_TEXT]);

/* Whether both want the same port of the host. */
bool publish_clash(const struct publish *a, const struct publish *b);

/*
 * Whether the host has the port to give: binds it, and lets it go again. Somebody may take it
 * afterwards; but what can be said early is said early. 0 or -errno (EADDRINUSE, EACCES,
 * EADDRNOTAVAIL) with a message.
 */
int publish_probe(const struct publish *publish, struct err *err);

#endif
