/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "vmm/base/fd.h"
#include "vmm/base/quantity.h"
#include "vmm/net/address.h"

#define FIELDS	   3
#define TEXT_BYTES 64

static int bad_form(const char *text, struct err *err)
{
	return err_set(err, EINVAL, "'%s' is not [ADDRESS:]HOSTPORT:GUESTPORT[/tcp|/udp]", text);
}

static int parse_port(const char *text, const char *owner, uint16_t *port, struct err *err)
{
	uint64_t number;

	if (quantity_number(text, 1, UINT16_MAX, &number, NULL) < 0)
		return err_set(err, EINVAL, "'%s' is not a port of the %s: 1 to 65535", text,
			       owner);
	*port = (uint16_t)number;
	return 0;
}

static int parse_address(const char *text, uint32_t *address, struct err *err)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return err_set(err, EINVAL,
			       "'%s' is not an IPv4 address: use 127.0.0.1 for this host only, "
			       "0.0.0.0 for all of its addresses",
			       text);
	*address = ntohl(in.s_addr);
	return 0;
}

/* Removes "/tcp" or "/udp". False: another protocol. */
static bool cut_protocol(char *text, bool *udp)
{
	char *slash = strchr(text, '/');

	*udp = slash && strcmp(slash, "/udp") == 0;
	if (slash && !*udp && strcmp(slash, "/tcp") != 0)
		return false;
	if (slash)
		*slash = '\0';
	return true;
}

int publish_parse(struct publish *out, const char *text, struct err *err)
{
	char copy[TEXT_BYTES], *field[FIELDS], *rest = copy;
	unsigned count = 0;
	int ret = 0;

	if (text[0] == '[')
		return err_set(err, EINVAL, "'%s': ports are published on IPv4 addresses only",
			       text);
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy) ||
	    !cut_protocol(copy, &out->udp))
		return bad_form(text, err);
	while (rest && count < FIELDS)
		field[count++] = strsep(&rest, ":");
	if (rest || count < 2)
		return bad_form(text, err);
	out->address = PUBLISH_LOOPBACK;
	if (count == FIELDS)
		ret = parse_address(field[0], &out->address, err);
	if (ret == 0)
		ret = parse_port(field[count - 2], "host", &out->host_port, err);
	if (ret == 0)
		ret = parse_port(field[count - 1], "guest", &out->guest_port, err);
	return ret;
}

const char *publish_text(const struct publish *publish, char to[PUBLISH_TEXT])
{
	char address[ADDRESS_TEXT];

	snprintf(to, PUBLISH_TEXT, "%s:%u:%u/%s", address_text(publish->address, address),
		 publish->host_port, publish->guest_port, publish->udp ? "udp" : "tcp");
	return to;
}

bool publish_clash(const struct publish *a, const struct publish *b)
{
	return a->udp == b->udp && a->host_port == b->host_port &&
	       (a->address == b->address || a->address == 0 || b->address == 0);
}

static int explain(const struct publish *publish, int code, struct err *err)
{
	char address[ADDRESS_TEXT];

	address_text(publish->address, address);
	if (code == EADDRINUSE)
		return err_set(err, code, "port %u of %s is in use: choose another",
			       publish->host_port, address);
	if (code == EADDRNOTAVAIL)
		return err_set(err, code, "%s is not an address of this host", address);
	if (code == EACCES)
		return err_set(err, code, "port %u is privileged: choose one from 1024 on",
			       publish->host_port);
	return err_code(err, code, "port %u of %s", publish->host_port, address);
}

int publish_probe(const struct publish *publish, struct err *err)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(publish->host_port),
				 .sin_addr.s_addr = htonl(publish->address)};
	int fd = socket(AF_INET, (publish->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int yes = 1, ret = 0;

	if (fd < 0)
		return err_sys(err, "a socket for a published port");
	/*
	 * As the backend does later: with SO_REUSEADDR, connections in TIME_WAIT do not block the
	 * port. Not for UDP: there, two sockets could share the port.
	 */
	if (!publish->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		ret = explain(publish, errno, err);
	fd_close(&fd);
	return ret;
}
