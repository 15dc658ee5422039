/* SPDX-License-Identifier: Apache-2.0 */
/* Targets of requests (RFC 9112, 3.2), and hosts in them and in the Host field. */
#include "vmm/relay/http_text.h"

#include <arpa/inet.h>

#include "vmm/relay/literal.h"

/* A number from 1 to 65535 in decimal digits. */
static bool read_port(struct span text, uint16_t *port)
{
	uint32_t number = 0;
	size_t i;

	if (text.length == 0 || text.length > 5)
		return false;
	for (i = 0; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(text.at[i] - '0');
	}
	*port = (uint16_t)number;
	return number > 0 && number <= UINT16_MAX;
}

/* An address in brackets, without the first one; what follows is left in *text. */
static bool read_ipv6(struct span *text, char host[REQUEST_HOST_TEXT])
{
	char copy[INET6_ADDRSTRLEN] = "";
	struct in6_addr address;
	struct span inside;

	if (!span_split(text, ']', &inside) || inside.length >= sizeof(copy) ||
	    memchr(inside.at, '\0', inside.length))
		return false;
	memcpy(copy, inside.at, inside.length);
	return inet_pton(AF_INET6, copy, &address) == 1 &&
	       inet_ntop(AF_INET6, &address, host, REQUEST_HOST_TEXT);
}

bool http_read_host(struct span text, char host[REQUEST_HOST_TEXT], bool *address, uint16_t *port)
{
	const uint8_t *start = (const uint8_t *)text.at;
	struct span name;

	*port = 0;
	*address = text.length > 0 && text.at[0] == '[';
	if (*address) {
		text = (struct span){text.at + 1, text.length - 1};
		if (!read_ipv6(&text, host))
			return false;
		if (text.length == 0)
			return true;
		return text.at[0] == ':' &&
		       read_port((struct span){text.at + 1, text.length - 1}, port);
	}
	if (!span_split(&text, ':', &name)) {
		name = text;
		text.length = 0;
	} else if (!read_port(text, port)) {
		return false;
	}
	if (dns_name_normalise(start, name.length, host) < 0)
		return false;
	*address = literal_ipv4(host);
	return *address || !literal_like(host);
}

/* Servers may log or pass on a query, but never look for a path there. */
static bool is_query(struct span text)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (text.at[i] <= ' ' || text.at[i] >= 0x7f || text.at[i] == '#')
			return false;
	return true;
}

/* What stands before the path of an http URL. What follows is left in *target. */
static enum request_reason read_url(struct span *target, struct request_fields *fields)
{
	static const char scheme[] = "http://";
	struct span authority;
	bool address;

	if (target->length < strlen(scheme) ||
	    !span_equals((struct span){target->at, strlen(scheme)}, scheme))
		return REQUEST_TARGET;
	authority = (struct span){target->at + strlen(scheme), 0};
	target->length -= strlen(scheme);
	while (authority.length < target->length && !strchr("/?", authority.at[authority.length]))
		authority.length++;
	target->at = authority.at + authority.length;
	target->length -= authority.length;
	fields->absolute = true;
	/* This also refuses a user before the host. */
	return http_read_host(authority, fields->url_host, &address, &fields->url_port)
		       ? REQUEST_FINE
		       : REQUEST_TARGET;
}

enum request_reason http_read_target(struct span target, struct request_head *head,
				     struct request_fields *fields)
{
	enum request_reason reason;
	struct span path;

	if (target.length == 1 && target.at[0] == '*') {
		strcpy(head->path, "*");
		head->unclear = "a request for the whole server";
		return strcmp(head->method, "OPTIONS") == 0 ? REQUEST_FINE : REQUEST_TARGET;
	}
	if (target.length == 0)
		return REQUEST_TARGET;
	if (target.at[0] != '/') {
		reason = read_url(&target, fields);
		if (reason != REQUEST_FINE)
			return reason;
	}
	if (span_split(&target, '?', &path)) {
		if (!is_query(target))
			return REQUEST_TARGET;
	} else {
		path = target;
	}
	/* Of a URL the path may be missing. */
	if (path.length == 0)
		path = (struct span){"/", 1};
	return request_read_path(path.at, path.length, head) ? REQUEST_FINE : REQUEST_TARGET;
}
