/* SPDX-License-Identifier: Apache-2.0 */
/* Targets of network rules: names, addresses, ports. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/special.h"
#include "vmm/policy/internal.h"

#define NAME_MAX_LENGTH 253
#define LABEL_MAX	63

/* --- parsing ---------------------------------------------------------------------------------- */

static int read_port(const char *text, uint16_t *port)
{
	unsigned long value;
	char *end;

	value = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || value < 1 || value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

static int read_ports(char *text, struct net_target *target, struct err *err)
{
	char *dash = strchr(text, '-');
	bool valid;

	target->port_low = 1;
	target->port_high = UINT16_MAX;
	if (strcmp(text, "*") == 0)
		return 0;
	if (dash)
		*dash = '\0';
	valid = read_port(text, &target->port_low) == 0 &&
		read_port(dash ? dash + 1 : text, &target->port_high) == 0;
	if (dash)
		*dash = '-';
	if (valid && target->port_low > target->port_high)
		return err_set(err, EINVAL,
			       "'%s' is not a port: the lower end of a range comes first: %u-%u",
			       text, target->port_high, target->port_low);
	if (valid)
		return 0;
	return err_set(err, EINVAL,
		       "'%s' is not a port: a number from 1 to 65535, a range such as 8000-8080, "
		       "or *",
		       text);
}

/* Bits behind the prefix are most likely a mistake. */
static int check_host_bits(const struct net_target *target, const char *text, struct err *err)
{
	unsigned bit, bits = target->family == AF_INET ? 32 : 128;
	uint8_t network[sizeof(target->address)];
	char name[INET6_ADDRSTRLEN];

	memcpy(network, target->address, sizeof(network));
	for (bit = target->prefix; bit < bits; bit++)
		network[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	if (memcmp(network, target->address, bits / 8) == 0)
		return 0;
	inet_ntop((int)target->family, network, name, sizeof(name));
	return err_set(err, EINVAL,
		       "%s/%u: bits behind the prefix are set: write %s/%u, or %s for one address",
		       text, target->prefix, name, target->prefix, text);
}

static int read_cidr(char *text, struct net_target *target, struct err *err)
{
	char *slash = strchr(text, '/'), *end = NULL;
	unsigned long prefix, bits;

	if (slash)
		*slash++ = '\0';
	target->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	bits = target->family == AF_INET ? 32 : 128;
	if (inet_pton((int)target->family, text, target->address) != 1)
		return err_set(err, EINVAL, "'%s' is not an address", text);
	prefix = slash ? strtoul(slash, &end, 10) : bits;
	if (slash && (!isdigit((unsigned char)slash[0]) || *end || prefix > bits))
		return err_set(err, EINVAL, "'/%s' is not a prefix length: 0 to %lu", slash, bits);
	target->kind = NET_CIDR;
	target->prefix = (unsigned)prefix;
	return check_host_bits(target, text, err);
}

/* One character of a name that is none of a name's. */
static int wrong_character(const char *name, char c, struct err *err)
{
	if (c == '*')
		return err_set(
			err, EINVAL,
			"a star stands for whole names only, at the beginning: *.example.com");
	return err_set(err, EINVAL, "'%s' is not a name: %s", name,
		       (unsigned char)c >= 0x80 ? "write names of other scripts in their ASCII "
						  "form (xn--...)"
						: "it has letters, digits, '-', '_' and '.' only");
}

static int read_name(struct arena *arena, char *text, struct net_target *target, struct err *err)
{
	size_t length = strlen(text), label = 0, i;

	target->kind = NET_NAME;
	if (strncmp(text, "*.", 2) == 0) {
		target->kind = NET_SUBNAMES;
		text++;
		length--;
	}
	for (i = target->kind == NET_SUBNAMES; i < length; i++) {
		text[i] = (char)tolower((unsigned char)text[i]);
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return wrong_character(text, text[i], err);
		label = text[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX ||
		    (label == 0 && (i == 0 || text[i - 1] == '.' || i + 1 == length)))
			return err_set(err, EINVAL,
				       "'%s' is not a name: parts between dots have 1 to 63 "
				       "characters",
				       text);
	}
	/* Its DNS queries are refused: see dns_name_normalise(). */
	if (target->kind == NET_NAME && text[0] == '-')
		return err_set(err, EINVAL,
			       "'%s' is not a name: none begins with '-', which a program could "
			       "take for an option",
			       text);
	if (length == 0 || length > NAME_MAX_LENGTH)
		return err_set(err, EINVAL, "a name has 1 to %d characters", NAME_MAX_LENGTH);
	target->name = arena_copy(arena, text, length);
	target->length = length;
	return target->name ? 0 : -ENOMEM;
}

static bool looks_like_address(const char *text)
{
	return strchr(text, ':') || strchr(text, '/') ||
	       strspn(text, "0123456789.") == strlen(text);
}

/* Splits NAME:PORT or [V6]:PORT in place. *port NULL: no port. */
static char *split_port(char *text, char **port)
{
	char *end;

	*port = NULL;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end)
			return NULL;
		*end++ = '\0';
		text++;
		/* [2001:db8::]/32:443 */
		if (*end == '/') {
			char *colon = strchr(end, ':');

			if (colon)
				*colon++ = '\0';
			*port = colon;
			memmove(end - 1, end, strlen(end) + 1);
			return text;
		}
		if (*end == ':')
			*port = end + 1;
		return *end == ':' || *end == '\0' ? text : NULL;
	}
	end = strrchr(text, ':');
	if (end && strchr(text, ':') == end) {
		*end = '\0';
		*port = end + 1;
	}
	return text;
}

int net_target_parse(struct arena *arena, enum policy_protocol protocol, const char *text,
		     struct net_target *target, struct err *err)
{
	bool ports = protocol != POLICY_ICMP && protocol != POLICY_DNS;
	char *copy = arena_copy(arena, text, strlen(text)), *port, *host;
	int ret;

	if (!copy)
		return -ENOMEM;
	*target = (struct net_target){.text = text, .port_high = UINT16_MAX};
	host = split_port(copy, &port);
	if (!host)
		return err_set(err, EINVAL, "'%s': write [ADDRESS]:PORT", text);
	if (strstr(text, "://"))
		return err_set(err, EINVAL, "'%s': leave out '%.*s'", text,
			       (int)(strstr(text, "://") - text) + 3, text);
	if (ports && !port && strchr(text, ':'))
		return err_set(err, EINVAL, "'%s': write NAME:PORT, ADDRESS:PORT or [V6]:PORT",
			       text);
	if (ports && !port)
		return err_set(err, EINVAL, "'%s' has no port: write %s:443, or %s:* for all", text,
			       text, text);
	if (!ports && port)
		return err_set(err, EINVAL, "'%s': %s has no ports", text,
			       policy_protocol_name(protocol));
	ret = port ? read_ports(port, target, err) : 0;
	if (ret < 0)
		return ret;
	if (strcmp(host, "*") == 0)
		target->kind = NET_ANY;
	else if (strcmp(host, "host") == 0)
		target->kind = NET_HOST;
	else if (looks_like_address(host))
		ret = read_cidr(host, target, err);
	else
		ret = read_name(arena, host, target, err);
	if (ret == 0 && protocol == POLICY_DNS && target->kind == NET_CIDR)
		ret = err_set(err, EINVAL, "'%s': a dns rule takes names, not addresses", text);
	return ret;
}

/* --- matching --------------------------------------------------------------------------------- */

/* A rule for `tcp` also holds for the protocols over TCP. */
static bool protocol_matches(const struct rule *rule, enum policy_protocol protocol)
{
	return rule->any || rule->protocol == protocol ||
	       (rule->protocol == POLICY_TCP &&
		(protocol == POLICY_TLS || protocol == POLICY_HTTP));
}

static bool name_matches(const struct net_target *target, const char *name)
{
	size_t length = strlen(name);

	if (target->kind == NET_NAME)
		return length == target->length && memcmp(name, target->name, length) == 0;
	return length > target->length &&
	       memcmp(name + length - target->length, target->name, target->length) == 0;
}

static bool is_within(const struct net_target *target, const struct special_range *range)
{
	return target->kind == NET_CIDR && target->prefix >= range->prefix;
}

/*
 * A special address is permitted only by a rule for its range or a part of it, so that neither a
 * permitted name nor a star can lead there, and by `net allow any`.
 */
static bool may_permit_address(const struct rule *rule, const struct net_target *target,
			       const struct policy_net *net)
{
	const struct special_range *range = special_range(net->family, net->address);

	return !range || rule->any || is_within(target, range);
}

static bool target_matches(const struct net_target *target, const struct policy_net *net)
{
	if (net->protocol != POLICY_ICMP && net->protocol != POLICY_DNS &&
	    (net->port < target->port_low || net->port > target->port_high))
		return false;
	/* No other target includes the host's loopback. */
	if (net->host || target->kind == NET_HOST)
		return net->host && target->kind == NET_HOST;
	switch (target->kind) {
	case NET_ANY:
		return true;
	case NET_CIDR:
		return net->family == target->family &&
		       special_same_prefix(net->address, target->address, target->prefix);
	default:
		return net->name && name_matches(target, net->name);
	}
}

bool net_rule_matches(const struct rule *rule, const struct policy_net *net)
{
	unsigned i;

	if (!protocol_matches(rule, net->protocol))
		return false;
	for (i = 0; i < rule->targets; i++)
		if (target_matches(&rule->target[i], net) &&
		    net_http_matches(rule, &rule->target[i], net) &&
		    (rule->public.action == POLICY_ACTION_DENY ||
		     rule->target[i].kind == NET_HOST ||
		     may_permit_address(rule, &rule->target[i], net)))
			return true;
	return false;
}

bool net_rule_names(const struct rule *rule, const char *name)
{
	const struct net_target *target;
	unsigned i;

	/* A denied port says nothing about the others: only dns rules deny queries. */
	if (rule->public.action == POLICY_ACTION_DENY && rule->protocol != POLICY_DNS)
		return false;
	for (i = 0; i < rule->targets; i++) {
		target = &rule->target[i];
		if (target->kind == NET_ANY ||
		    (target->kind == NET_HOST && strcmp(name, "host") == 0))
			return true;
		if ((target->kind == NET_NAME || target->kind == NET_SUBNAMES) &&
		    name_matches(target, name))
			return true;
	}
	return false;
}

bool policy_allows_any(const struct policy *policy)
{
	const struct rule_list *list = &policy->class[POLICY_NET];

	return list->count > 0 && list->rule[0]->any;
}

bool policy_has_any(const struct policy *policy)
{
	const struct rule_list *list = &policy->class[POLICY_NET];
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->rule[i]->any)
			return true;
	return false;
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool protocol_covers(const struct rule *a, const struct rule *b)
{
	return b->any ? a->any : protocol_matches(a, b->protocol);
}

static bool peer_covers(const struct net_target *a, const struct net_target *b)
{
	if (a->kind == NET_HOST || b->kind == NET_HOST)
		return a->kind == b->kind;
	if (a->kind == NET_ANY)
		return true;
	if (a->kind == NET_CIDR)
		return b->kind == NET_CIDR && a->family == b->family && a->prefix <= b->prefix &&
		       special_same_prefix(a->address, b->address, a->prefix);
	if (b->kind == NET_NAME)
		return name_matches(a, b->name);
	return a->kind == NET_SUBNAMES && b->kind == NET_SUBNAMES && b->length >= a->length &&
	       memcmp(b->name + b->length - a->length, a->name, a->length) == 0;
}

/* A name may have any address. */
static bool peer_overlaps(const struct net_target *a, const struct net_target *b)
{
	if (a->kind == NET_HOST || b->kind == NET_HOST)
		return a->kind == b->kind;
	if (a->kind == NET_ANY || b->kind == NET_ANY ||
	    (a->kind == NET_CIDR) != (b->kind == NET_CIDR))
		return true;
	return peer_covers(a, b) || peer_covers(b, a);
}

/*
 * Whether a rule permits the special addresses that a target of another rule does. Names and wider
 * targets permit none: see may_permit_address().
 */
static bool special_covers(const struct rule *a, const struct net_target *at,
			   const struct net_target *bt)
{
	const struct special_range *range;
	size_t i;

	if (a->any || a->public.action == POLICY_ACTION_DENY || bt->kind != NET_CIDR)
		return true;
	for (i = 0; (range = special_range_at(i)) != NULL; i++)
		if (range->family == bt->family && is_within(bt, range) &&
		    special_same_prefix(range->network, bt->address, range->prefix) &&
		    !is_within(at, range))
			return false;
	return true;
}

bool net_target_covers(const struct rule *a, const struct net_target *at, const struct rule *b,
		       const struct net_target *bt)
{
	return protocol_covers(a, b) && at->port_low <= bt->port_low &&
	       at->port_high >= bt->port_high && peer_covers(at, bt) &&
	       net_http_covers(a, at, b, bt) && special_covers(a, at, bt);
}

bool net_target_overlaps(const struct rule *a, const struct net_target *at, const struct rule *b,
			 const struct net_target *bt)
{
	return (protocol_covers(a, b) || protocol_covers(b, a)) && at->port_low <= bt->port_high &&
	       bt->port_low <= at->port_high && peer_overlaps(at, bt) &&
	       net_http_overlaps(a, at, b, bt);
}
