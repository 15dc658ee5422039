/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/reach.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/policy/internal.h"

/* Adds a line, unless it would be cut or there are enough. */
__attribute__((format(printf, 3, 4))) static void put(char line[REACH_LINES][REACH_LINE],
						      unsigned *count, const char *fmt, ...)
{
	va_list ap;
	int length;

	if (*count == REACH_LINES)
		return;
	va_start(ap, fmt);
	length = vsnprintf(line[*count], REACH_LINE, fmt, ap);
	va_end(ap);
	*count += length > 0 && length < REACH_LINE;
}

#define BROADER(reach, ...)  put((reach)->broader, &(reach)->broader_count, __VA_ARGS__)
#define NARROWER(reach, ...) put((reach)->narrower, &(reach)->narrower_count, __VA_ARGS__)

/* Each of several patterns or targets alone; head: what stands before them. */
static void single(const char *head, const char *text, struct policy_reach *reach)
{
	NARROWER(reach, "%s %s", head, text);
}

/* --- paths ------------------------------------------------------------------------------------ */

static bool ends_in(const char *text, size_t length, const char *end)
{
	size_t size = strlen(end);

	return length > size && memcmp(text + length - size, end, size) == 0;
}

/* The length of the directory that a path of this length is in; 0: the root. */
static int parent_of(const char *text, size_t length)
{
	while (length > 0 && text[length - 1] != '/')
		length--;
	return length > 0 ? (int)length - 1 : 0;
}

static void reach_path(const char *head, const char *text, struct policy_reach *reach)
{
	size_t length = strlen(text);
	int directory;

	if (ends_in(text, length, "/**")) {
		directory = parent_of(text, length - 3);
		if (directory > 0)
			BROADER(reach, "%s %.*s/**", head, directory, text);
		NARROWER(reach, "%s %.*s/*", head, (int)length - 3, text);
		return;
	}
	directory = parent_of(text, length);
	if (directory == 0)
		return;
	if (!ends_in(text, length, "/*"))
		BROADER(reach, "%s %.*s/*", head, directory, text);
	BROADER(reach, "%s %.*s/**", head, directory, text);
}

static void reach_paths(const struct rule *rule, struct policy_reach *reach)
{
	const struct policy_rule *public = &rule->public;
	const char *verdict = policy_action_name(public->action);
	const char *class = policy_class_name(public->class);
	char head[32];
	unsigned k;

	snprintf(head, sizeof(head), "%s %s", class, verdict);
	if (rule->patterns == 1)
		reach_path(head, rule->pattern[0].text, reach);
	for (k = 0; rule->patterns > 1 && k < rule->patterns; k++)
		single(head, rule->pattern[k].text, reach);
	if (rule->patterns > 1 || public->class != POLICY_FILE)
		return;
	if (public->action == POLICY_ACTION_WRITE || public->action == POLICY_ACTION_APPEND)
		NARROWER(reach, "file %s %s",
			 policy_action_name((enum policy_action)(public->action - 1)),
			 rule->pattern[0].text);
}

/* --- the network ------------------------------------------------------------------------------ */

/* Everything of a target but its port. */
static void peer_text(const struct net_target *target, char *to, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "", prefix[8] = "";
	bool v6 = target->family == AF_INET6;

	switch (target->kind) {
	case NET_ANY:
		snprintf(to, size, "*");
		return;
	case NET_HOST:
		snprintf(to, size, "host");
		return;
	case NET_NAME:
	case NET_SUBNAMES:
		snprintf(to, size, "%s%s", target->kind == NET_SUBNAMES ? "*" : "", target->name);
		return;
	case NET_CIDR:
		inet_ntop((int)target->family, target->address, address, sizeof(address));
		if (target->prefix != (v6 ? 128 : 32))
			snprintf(prefix, sizeof(prefix), "/%u", target->prefix);
		snprintf(to, size, "%s%s%s%s", v6 ? "[" : "", address, v6 ? "]" : "", prefix);
	}
}

static void port_text(const struct rule *rule, const struct net_target *target, char *to,
		      size_t size)
{
	if (rule->protocol == POLICY_ICMP || rule->protocol == POLICY_DNS)
		*to = '\0';
	else if (target->port_low == 1 && target->port_high == UINT16_MAX)
		snprintf(to, size, ":*");
	else if (target->port_low == target->port_high)
		snprintf(to, size, ":%u", target->port_low);
	else
		snprintf(to, size, ":%u-%u", target->port_low, target->port_high);
}

/* The names of the domain that a name, or its own domain, is in; but not all of a top level. */
static const char *domain_of(const struct net_target *target)
{
	const char *dot;

	if (target->kind != NET_NAME && target->kind != NET_SUBNAMES)
		return NULL;
	dot = strchr(target->name + (target->kind == NET_SUBNAMES), '.');
	return dot && strchr(dot + 1, '.') ? dot : NULL;
}

static void reach_target(const char *head, const struct rule *rule, const struct net_target *target,
			 struct policy_reach *reach)
{
	const char *domain = domain_of(target);
	char peer[POLICY_PATTERN_MAX], port[16];

	peer_text(target, peer, sizeof(peer));
	port_text(rule, target, port, sizeof(port));
	if (target->path) {
		BROADER(reach, "%s %s%s", head, peer, port);
		return;
	}
	if (port[0] && strcmp(port, ":*") != 0)
		BROADER(reach, "%s %s:*", head, peer);
	if (domain)
		BROADER(reach, "%s *%s%s", head, domain, port);
	if (target->kind == NET_NAME || target->kind == NET_SUBNAMES) {
		if (rule->protocol == POLICY_TCP)
			NARROWER(reach, "net %s tls %s%s", policy_action_name(rule->public.action),
				 peer, port);
	}
	if (strcmp(port, ":*") == 0 &&
	    (rule->protocol == POLICY_TLS || rule->protocol == POLICY_HTTP))
		NARROWER(reach, "%s %s:%u", head, peer, rule->protocol == POLICY_TLS ? 443u : 80u);
	else if (strchr(port, '-'))
		NARROWER(reach, "%s %s:%u", head, peer, target->port_low);
}

static void reach_targets(const struct rule *rule, struct policy_reach *reach)
{
	char head[NET_METHODS_TEXT + 48], methods[NET_METHODS_TEXT];
	int plain;
	unsigned k;

	if (rule->any) {
		NARROWER(reach, "net allow tcp *:*");
		NARROWER(reach, "net allow tls *:443");
		return;
	}
	net_methods_text(rule->methods, methods);
	plain = snprintf(head, sizeof(head), "net %s %s", policy_action_name(rule->public.action),
			 policy_protocol_name(rule->protocol));
	if (rule->methods && rule->targets == 1)
		BROADER(reach, "%s %s", head, rule->target[0].text);
	if (rule->methods)
		snprintf(head + plain, sizeof(head) - (size_t)plain, " %s", methods);
	if (rule->targets == 1)
		reach_target(head, rule, &rule->target[0], reach);
	for (k = 0; rule->targets > 1 && k < rule->targets; k++)
		single(head, rule->target[k].text, reach);
}

void policy_reach(const struct policy_rule *rule, struct policy_reach *reach)
{
	*reach = (struct policy_reach){.broader_count = 0};
	if (rule->class == POLICY_NET)
		reach_targets((const struct rule *)rule, reach);
	else
		reach_paths((const struct rule *)rule, reach);
}
