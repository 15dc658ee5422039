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

#define PUBLISH_MAX	16 /* of a sandbox, when it starts */
#define PUBLISH_ADDRESS 16
#define PUBLISH_TEXT	80

struct publish {
	uint16_t family; /* of the host's address: AF_INET, AF_INET6; 0: all of both families */
	uint8_t address[PUBLISH_ADDRESS]; /* network order, IPv4 in the first 4; zeros: all */
	uint16_t host_port, guest_port;
	bool udp;
};

/*
 * Parses "[ADDRESS:]HOSTPORT:GUESTPORT[/tcp|/udp]". ADDRESS is one of the host's: IPv4, IPv6 in
 * brackets, or "*" for all; without one it is 127.0.0.1. 0 or -EINVAL with a message.
 */
int publish_parse(struct publish *out, const char *text, struct err *err);

/* The full form, as publish_parse() accepts it. */
const char *publish_text(const struct publish *publish, char to[PUBLISH_TEXT]);

/* Whether both need the same port of the host. */
bool publish_clash(const struct publish *a, const struct publish *b);

/* Sets the message of why the port of the host can't be bound: code is an errno. Returns -code. */
int publish_failed(const struct publish *publish, int code, struct err *err);

/*
 * Whether the port of the host is available: binds it and releases it again. Another program may
 * take it afterwards, but most errors are reported early in this way. 0 or -errno (EADDRINUSE,
 * EACCES, EADDRNOTAVAIL) with a message.
 */
int publish_probe(const struct publish *publish, struct err *err);

#endif
