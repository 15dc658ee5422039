/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/ip.h"

#include <netinet/in.h>

#include "vmm/base/bytes.h"
#include "vmm/base/special.h"

static const uint8_t network4[4] = {192, 0, 2, 0};
static const uint8_t network6[IP_BYTES] = {0x20, 0x01, 0x0d, 0xb8};

struct ip_address ip_own(unsigned family, enum ip_own which)
{
	struct ip_address address = {.family = (uint16_t)family};

	if (family == AF_INET) {
		memcpy(address.bytes, network4, sizeof(network4));
		address.bytes[3] = (uint8_t)which;
	} else {
		memcpy(address.bytes, network6, sizeof(network6));
		address.bytes[15] = (uint8_t)which;
	}
	return address;
}

bool ip_is_own(const struct ip_address *address)
{
	if (address->family == AF_INET)
		return special_same_prefix(address->bytes, network4, IP_OWN_PREFIX4);
	return address->family == AF_INET6 &&
	       special_same_prefix(address->bytes, network6, IP_OWN_PREFIX6);
}

bool ip_is(const struct ip_address *address, enum ip_own which)
{
	const struct ip_address own = ip_own(address->family, which);

	return ip_same(address, &own);
}

bool ip_is_special(const struct ip_address *address)
{
	return special_range(address->family, address->bytes) != NULL;
}

struct ip_address ip_from4(uint32_t address)
{
	struct ip_address to = {.family = AF_INET};

	store_be32(to.bytes, address);
	return to;
}

const char *ip_text(const struct ip_address *address, char to[IP_TEXT])
{
	if (!address->family || !inet_ntop(address->family, address->bytes, to, IP_TEXT))
		memcpy(to, "-", 2);
	return to;
}

socklen_t ip_to_socket(const struct ip_address *address, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in *four = (struct sockaddr_in *)to;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (address->family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, address->bytes, sizeof(four->sin_addr));
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, address->bytes, sizeof(six->sin6_addr));
	return sizeof(*six);
}

bool ip_from_socket(const struct sockaddr_storage *from, struct ip_address *address, uint16_t *port)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;

	*address = (struct ip_address){.family = from->ss_family};
	if (from->ss_family == AF_INET) {
		memcpy(address->bytes, &four->sin_addr, sizeof(four->sin_addr));
		*port = ntohs(four->sin_port);
		return true;
	}
	if (from->ss_family != AF_INET6)
		return false;
	*port = ntohs(six->sin6_port);
	/* A listener of both families sees IPv4 clients by mapped addresses (RFC 4291, 2.5.5.2). */
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		address->family = AF_INET;
		memcpy(address->bytes, six->sin6_addr.s6_addr + 12, 4);
		return true;
	}
	memcpy(address->bytes, &six->sin6_addr, sizeof(six->sin6_addr));
	return true;
}
