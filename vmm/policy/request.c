/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/policy/explain.h"
#include "vmm/policy/internal.h"

/* What a rule calls the peer: NULL if only its address is known. */
static const char *peer_name(const struct policy_net *net)
{
	return net->host ? "host" : net->name;
}

/* --- copies ----------------------------------------------------------------------------------- */

/* Copies a string behind those before it. NULL stays NULL. -ENAMETOOLONG. */
static int keep(char *strings, size_t *used, const char **text, size_t length)
{
	char *copy = strings + *used;

	if (!*text)
		return 0;
	if (length >= POLICY_REQUEST_STRINGS - *used)
		return -ENAMETOOLONG;
	memcpy(copy, *text, length);
	copy[length] = '\0';
	*text = copy;
	*used += length + 1;
	return 0;
}

int policy_request_copy(struct policy_request *to, char strings[POLICY_REQUEST_STRINGS],
			const struct policy_request *from)
{
	const char *name = from->net.name, *method = from->net.method, *path = from->net.path;
	size_t used = 0;
	int ret;

	*to = *from;
	to->subject = NULL;
	ret = keep(strings, &used, &to->object, from->length);
	if (ret == 0)
		ret = keep(strings, &used, &to->other, from->other_length);
	if (ret == 0)
		ret = keep(strings, &used, &to->net.name, name ? strlen(name) : 0);
	if (ret == 0)
		ret = keep(strings, &used, &to->net.method, method ? strlen(method) : 0);
	if (ret == 0)
		ret = keep(strings, &used, &to->net.path, path ? strlen(path) : 0);
	return ret;
}

static bool same_string(const char *a, size_t a_length, const char *b, size_t b_length)
{
	if (!a || !b)
		return a == b;
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

static bool same_text(const char *a, const char *b)
{
	return same_string(a, a ? strlen(a) : 0, b, b ? strlen(b) : 0);
}

static bool same_peer(const struct policy_net *a, const struct policy_net *b)
{
	return a->protocol == b->protocol && a->port == b->port && a->host == b->host &&
	       a->family == b->family && memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       same_text(peer_name(a), peer_name(b)) && same_text(a->method, b->method) &&
	       same_text(a->path, b->path) && a->unclear == b->unclear;
}

bool policy_request_same(const struct policy_request *a, const struct policy_request *b)
{
	if (a->class != b->class || a->op != b->op)
		return false;
	if (a->class == POLICY_NET)
		return same_peer(&a->net, &b->net);
	return a->directory == b->directory &&
	       same_string(a->object, a->length, b->object, b->length) &&
	       same_string(a->other, a->other_length, b->other, b->other_length);
}

/* --- text ------------------------------------------------------------------------------------- */

static void net_text(const struct policy_net *net, char *to, size_t size)
{
	const char *name = peer_name(net);
	char address[INET6_ADDRSTRLEN] = "";

	if (net->family)
		inet_ntop((int)net->family, net->address, address, sizeof(address));
	snprintf(to, size, net->port ? "%s %.255s%s%s:%u" : "%s %.255s%s%s",
		 policy_protocol_name(net->protocol), name ? name : "", name ? " " : "", address,
		 net->port);
	if (net->method)
		snprintf(to + strlen(to), size - strlen(to), " %s %s", net->method,
			 net->path ? net->path : "");
}

void policy_request_text(const struct policy_request *request, char to[POLICY_REQUEST_TEXT])
{
	if (request->class == POLICY_NET)
		net_text(&request->net, to, POLICY_REQUEST_TEXT);
	else
		snprintf(to, POLICY_REQUEST_TEXT, "%.*s%s%.*s", (int)request->length,
			 request->object, request->other ? " -> " : "", (int)request->other_length,
			 request->other ? request->other : "");
}

/* A peer as a rule has it, without a port: a name, an address, "[ADDRESS]" or "*". */
static void rule_peer(const struct policy_net *net, char *to, size_t size)
{
	const char *peer = peer_name(net);
	char address[INET6_ADDRSTRLEN] = "*";
	bool v6;

	/* To a rule, "host" is the host's loopback, and not a name that DNS happens to know. */
	if (!net->host && peer && strcmp(peer, "host") == 0 && net->family)
		peer = NULL;
	v6 = !peer && net->family == AF_INET6;
	if (!peer && net->family)
		inet_ntop((int)net->family, net->address, address, sizeof(address));
	snprintf(to, size, "%s%.255s%s", v6 && net->port ? "[" : "", peer ? peer : address,
		 v6 && net->port ? "]" : "");
}

static void net_rule(const struct policy_net *net, enum policy_action action, char *to, size_t size)
{
	char peer[260], pattern[2 * POLICY_OBJECT_MAX + 1] = "";
	bool request = net->protocol == POLICY_HTTP && net->method && !net->unclear && net->path &&
		       net_method_known(net->method);
	int used;

	rule_peer(net, peer, sizeof(peer));
	if (request && strlen(net->path) <= POLICY_OBJECT_MAX)
		policy_quote(net->path, strlen(net->path), pattern);
	used = snprintf(to, size, "net %s %s %s%s%s", policy_action_name(action),
			policy_protocol_name(net->protocol), request ? net->method : "",
			request ? " " : "", peer);
	if (net->protocol != POLICY_ICMP && net->protocol != POLICY_DNS && net->port != 0)
		snprintf(to + used, size - (size_t)used, ":%u%s", net->port, pattern);
}

void policy_request_rule(const struct policy_request *request, enum policy_action action,
			 char to[POLICY_REQUEST_RULE])
{
	char pattern[2 * POLICY_OBJECT_MAX + 1];
	size_t length = request->length < POLICY_OBJECT_MAX ? request->length : POLICY_OBJECT_MAX;

	if (request->class == POLICY_NET) {
		net_rule(&request->net, action, to, POLICY_REQUEST_RULE);
		return;
	}
	policy_quote(request->object, length, pattern);
	snprintf(to, POLICY_REQUEST_RULE, "%s %s %s", policy_class_name(request->class),
		 policy_action_name(action), pattern);
}

struct policy_request policy_request_of_rule(const struct policy_request *request,
					     const struct policy_rule *rule)
{
	struct policy_request made = *request;

	if (request->class != POLICY_NET || !rule)
		return made;
	made.net.family = 0;
	if (!net_rule_matches((const struct rule *)rule, &made.net))
		made.net.name = NULL;
	made.net.family = request->net.family;
	return made;
}

static bool is_plain_path(const char *path, size_t length)
{
	return length <= POLICY_OBJECT_MAX && (!path || text_is_safe(path, length, 0));
}

bool policy_request_is_plain(const struct policy_request *request)
{
	const char *name = request->net.name, *method = request->net.method,
		   *path = request->net.path;

	if (request->class != POLICY_NET)
		return request->object && request->length > 0 && request->object[0] == '/' &&
		       is_plain_path(request->object, request->length) &&
		       is_plain_path(request->other, request->other_length);
	if (!is_plain_path(path, path ? strlen(path) : 0) ||
	    !is_plain_path(method, method ? strlen(method) : 0))
		return false;
	return !name || (strlen(name) < 254 && name[0] != '-' &&
			 name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0');
}

bool policy_request_is_pathless(const struct policy_request *request)
{
	return request->class == POLICY_EXEC && request->object && request->object[0] != '/';
}
