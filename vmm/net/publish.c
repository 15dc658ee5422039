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

#define TEXT_BYTES 96

static const uint8_t loopback[PUBLISH_ADDRESS] = {127, 0, 0, 1};

/* --- text ------------------------------------------------------------------------------------- */

static int bad_form(const char *text, struct err *err)
{
	return err_set(err, EINVAL,
		       "'%s' is not [ADDRESS:]HOSTPORT:GUESTPORT[/tcp|/udp], such as 8080:80 or "
		       "[::1]:8080:80",
		       text);
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

static int parse_ipv4(struct publish *out, const char *text, struct err *err)
{
	out->family = AF_INET;
	memset(out->address, 0, sizeof(out->address));
	if (strcmp(text, "*") == 0)
		out->family = 0;
	else if (inet_pton(AF_INET, text, out->address) != 1)
		return err_set(err, EINVAL,
			       "'%s' is not an IPv4 address: use 127.0.0.1 for this host only, "
			       "0.0.0.0 for all of its addresses, [::1] for IPv6",
			       text);
	return 0;
}

/* An IPv4 address in the form of an IPv6 one would be another socket than its own. */
static int parse_ipv6(struct publish *out, const char *text, struct err *err)
{
	struct in6_addr address;

	if (inet_pton(AF_INET6, text, &address) != 1 || IN6_IS_ADDR_V4MAPPED(&address))
		return err_set(err, EINVAL,
			       "'[%s]' is not an IPv6 address: use [::1] for this host only, [::] "
			       "for all of its addresses",
			       text);
	out->family = AF_INET6;
	memcpy(out->address, &address, sizeof(out->address));
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

/*
 * Splits off the address: *address is what was before the ports, without brackets, or NULL. The
 * ports, or NULL: it has no such form.
 */
static char *cut_address(char *text, char **address, bool *brackets)
{
	char *end, *colon;

	*address = NULL;
	*brackets = text[0] == '[';
	if (*brackets) {
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return NULL;
		*end = '\0';
		*address = text + 1;
		return end + 2;
	}
	colon = strchr(text, ':');
	if (!colon || !strchr(colon + 1, ':'))
		return text;
	*colon = '\0';
	*address = text;
	return colon + 1;
}

int publish_parse(struct publish *out, const char *text, struct err *err)
{
	char copy[TEXT_BYTES], *address, *ports, *guest;
	bool brackets;
	int ret = 0;

	*out = (struct publish){.family = AF_INET};
	memcpy(out->address, loopback, sizeof(loopback));
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy) ||
	    !cut_protocol(copy, &out->udp))
		return bad_form(text, err);
	ports = cut_address(copy, &address, &brackets);
	guest = ports ? strchr(ports, ':') : NULL;
	if (!guest || strchr(guest + 1, ':'))
		return bad_form(text, err);
	*guest++ = '\0';
	if (address)
		ret = brackets ? parse_ipv6(out, address, err) : parse_ipv4(out, address, err);
	if (ret == 0)
		ret = parse_port(ports, "host", &out->host_port, err);
	if (ret == 0)
		ret = parse_port(guest, "guest", &out->guest_port, err);
	return ret;
}

/* "127.0.0.1", "[::1]", "*" */
static const char *address_of(const struct publish *publish, char to[INET6_ADDRSTRLEN + 2])
{
	char text[INET6_ADDRSTRLEN] = "*";

	if (publish->family != 0)
		inet_ntop(publish->family, publish->address, text, sizeof(text));
	snprintf(to, INET6_ADDRSTRLEN + 2, publish->family == AF_INET6 ? "[%s]" : "%s", text);
	return to;
}

const char *publish_text(const struct publish *publish, char to[PUBLISH_TEXT])
{
	char address[INET6_ADDRSTRLEN + 2];

	snprintf(to, PUBLISH_TEXT, "%s:%u:%u/%s", address_of(publish, address), publish->host_port,
		 publish->guest_port, publish->udp ? "udp" : "tcp");
	return to;
}

/* --- the host's ports ------------------------------------------------------------------------- */

static bool is_all(const struct publish *publish)
{
	static const uint8_t zeros[PUBLISH_ADDRESS];

	return memcmp(publish->address, zeros, sizeof(zeros)) == 0;
}

bool publish_clash(const struct publish *a, const struct publish *b)
{
	if (a->udp != b->udp || a->host_port != b->host_port)
		return false;
	if (a->family == 0 || b->family == 0)
		return true;
	return a->family == b->family &&
	       (is_all(a) || is_all(b) || memcmp(a->address, b->address, PUBLISH_ADDRESS) == 0);
}

int publish_failed(const struct publish *publish, int code, struct err *err)
{
	char address[INET6_ADDRSTRLEN + 2];

	address_of(publish, address);
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

/* Binds the port at its address in a family. 0 or -errno. */
static int probe(const struct publish *publish, int family)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(publish->host_port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(publish->host_port)};
	int type = (publish->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
	int fd = socket(family, type, 0), yes = 1, ret = 0;

	if (fd < 0)
		return -errno;
	memcpy(&four.sin_addr, publish->address, sizeof(four.sin_addr));
	memcpy(&six.sin6_addr, publish->address, sizeof(six.sin6_addr));
	/*
	 * As the relay does later: with SO_REUSEADDR, connections in TIME_WAIT do not block the
	 * port. Not for UDP: there, two sockets could share the port.
	 */
	if (!publish->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (bind(fd, family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six,
		 family == AF_INET ? sizeof(four) : sizeof(six)) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret;
}

int publish_probe(const struct publish *publish, struct err *err)
{
	int ret = 0;

	if (publish->family != AF_INET6)
		ret = probe(publish, AF_INET);
	if (ret == 0 && publish->family != AF_INET)
		ret = probe(publish, AF_INET6);
	/* All addresses of a host without IPv6 are those of IPv4. */
	if (publish->family == 0 && ret == -EAFNOSUPPORT)
		ret = 0;
	return ret < 0 ? publish_failed(publish, -ret, err) : 0;
}
