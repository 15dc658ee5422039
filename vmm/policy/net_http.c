/* SPDX-License-Identifier: Apache-2.0 */
/* Methods and paths in rules about HTTP requests. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/internal.h"

#define HINT_MAX 300

/* CONNECT is missing: no rule allows it. At most 32. */
static const char *const methods_known[] = {
	"GET",	  "HEAD",     "POST",  "PUT",	   "DELETE",	"PATCH",  "OPTIONS", "TRACE",
	"QUERY",  "COPY",     "LOCK",  "MKCOL",	   "MOVE",	"UNLOCK", "ACL",     "SEARCH",
	"REPORT", "PROPFIND", "PURGE", "CHECKOUT", "PROPPATCH", "MERGE",
};

/* --- methods ---------------------------------------------------------------------------------- */

static int method_index(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods_known); i++)
		if (strlen(methods_known[i]) == length &&
		    memcmp(methods_known[i], text, length) == 0)
			return (int)i;
	return -1;
}

bool net_method_known(const char *method)
{
	return method_index(method, strlen(method)) >= 0;
}

/* Whether every name of a list would be a method in capitals: a mistake, and no host. */
static bool is_lower_list(const char *text)
{
	char name[16];
	size_t length, i;

	for (;; text += length + 1) {
		length = strcspn(text, ",");
		if (length >= sizeof(name))
			return false;
		for (i = 0; i < length; i++)
			name[i] = (char)toupper((unsigned char)text[i]);
		if (method_index(name, length) < 0)
			return false;
		if (text[length] == '\0')
			return true;
	}
}

int net_methods_parse(const char *text, uint32_t *methods, struct err *err)
{
	char name[40], hint[HINT_MAX];
	size_t length;
	int index;

	if (text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-,")] != '\0') {
		if (is_lower_list(text))
			return err_set(err, EINVAL,
				       "'%.60s': write methods in capitals, or %.60s:80 for a "
				       "host of that name",
				       text, text);
		return 0;
	}
	for (;; text += length + 1) {
		length = strcspn(text, ",");
		snprintf(name, sizeof(name), "%.*s", (int)length, text);
		if (strcmp(name, "CONNECT") == 0)
			return err_set(err, EINVAL,
				       "CONNECT is always refused: it would lead anywhere");
		if (length == 0)
			return err_set(err, EINVAL,
				       "a method is missing: write GET,HEAD and the like, without "
				       "blanks");
		index = method_index(text, length);
		if (index < 0)
			return err_set(err, EINVAL, "unknown method '%s': %s", name,
				       word_hint(hint, sizeof(hint), name, methods_known,
						 ARRAY_SIZE(methods_known)));
		*methods |= 1u << index;
		if (text[length] == '\0')
			return 1;
	}
}

void net_methods_text(uint32_t methods, char to[NET_METHODS_TEXT])
{
	size_t used = 0, i;

	to[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(methods_known); i++)
		if (methods & 1u << i)
			used += (size_t)snprintf(to + used, NET_METHODS_TEXT - used, "%s%s",
						 used ? "," : "", methods_known[i]);
}

/* --- targets ---------------------------------------------------------------------------------- */

/*
 * The length of HOST[:PORT] before a path. Behind an address, digits after a '/' are a prefix
 * length: a path there needs the port before it.
 */
static size_t peer_length(const char *text, bool *port)
{
	const char *at = text, *digits;
	bool address = text[0] == '[';

	if (address) {
		at = strchrnul(text, ']');
		at += *at == ']';
	} else {
		at += strcspn(text, ":/");
		address = at > text && strspn(text, "0123456789.") >= (size_t)(at - text);
	}
	if (address && *at == '/' && isdigit((unsigned char)at[1])) {
		digits = at + 1 + strspn(at + 1, "0123456789");
		if (*digits == '\0' || *digits == ':' || *digits == '/')
			at = digits;
	}
	*port = *at == ':';
	return (size_t)(at - text) + strcspn(at, "/");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Paths of requests have escapes in one form only: see vmm/relay/http_path.c. */
static int check_escape(const char *at, struct err *err)
{
	int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]),
	    byte = low < 0 ? -1 : high << 4 | low;

	if (byte < 0)
		return err_set(err, EINVAL,
			       "'%%' begins an escape of two digits, such as %%20 or %%C3, with "
			       "capital letters");
	if (isalnum(byte) || (byte > 0 && byte < 0x80 && strchr("-._~", byte)))
		return err_set(err, EINVAL, "write '%c', not '%.3s'", byte, at);
	if (byte < ' ' || byte == 0x7f || strchr("/\\;", byte))
		return err_set(err, EINVAL, "no rule about paths matches a request with '%.3s'",
			       at);
	return 0;
}

static int check_path(const char *path, struct err *err)
{
	const char *at;
	int ret = 0;

	for (at = path; *at && ret == 0; at++) {
		if (*at == '\\' && at[1])
			at++;
		else if (*at == '%')
			ret = check_escape(at, err);
		if (*at == ';')
			ret = err_set(err, EINVAL,
				      "no rule about paths matches a request with ';' in its path");
		else if (!isgraph((unsigned char)*at) || strchr("\"#<>\\`{|}", *at))
			ret = err_set(err, EINVAL,
				      "a path has printable ASCII characters only, none of "
				      "\"#<>\\`{|}: write escapes such as %%20 or %%C3");
	}
	return ret;
}

/* As in other classes, `deny` also holds for everything beneath what it matches. */
static int add_tree(struct arena *arena, struct glob *glob)
{
	struct glob_part *part = arena_array(arena, glob->parts + 1, sizeof(*part));

	if (!part)
		return -ENOMEM;
	if (glob->parts)
		memcpy(part, glob->part, glob->parts * sizeof(*part));
	part[glob->parts++].kind = GLOB_TREE;
	glob->part = part;
	return 0;
}

static int compile_path(struct arena *arena, enum policy_action action, const char *path,
			struct net_target *target, struct err *err)
{
	struct glob *glob = arena_alloc(arena, sizeof(*glob));
	struct err why = {.text = ""};
	size_t at;
	int ret = check_path(path, err);

	if (ret < 0 || !glob)
		return ret < 0 ? ret : -ENOMEM;
	ret = glob_compile(arena, path, strlen(path), glob, &at, &why);
	if (ret == -EINVAL)
		return err_set(err, EINVAL, "'%.80s': %s", path, why.text);
	if (ret == 0 && action == POLICY_ACTION_DENY &&
	    !(glob->parts && glob->part[glob->parts - 1].kind == GLOB_TREE))
		ret = add_tree(arena, glob);
	if (ret == 0)
		target->path = glob;
	return ret;
}

int net_http_target_parse(struct arena *arena, enum policy_action action, const char *text,
			  struct net_target *target, struct err *err)
{
	bool port = true;
	size_t length = strstr(text, "://") ? strlen(text) : peer_length(text, &port);
	char *peer = arena_alloc(arena, length + sizeof(":80"));
	int ret;

	if (!peer)
		return -ENOMEM;
	if (text[0] == '/')
		return err_set(err, EINVAL, "'%.80s': a path stands behind its host: HOST%.80s",
			       text, text);
	if (!port && method_index(text, length) >= 0)
		return err_set(err, EINVAL,
			       "'%.*s' is a method: in a policy it stands before the target, as in "
			       "net allow http %.*s HOST/PATH",
			       (int)length, text, (int)length, text);
	memcpy(peer, text, length);
	strcpy(peer + length, port ? "" : ":80");
	ret = net_target_parse(arena, POLICY_HTTP, peer, target, err);
	target->text = text;
	if (ret == 0 && text[length] == '/')
		ret = compile_path(arena, action, text + length, target, err);
	return ret;
}

/* --- matching --------------------------------------------------------------------------------- */

static bool is_conditional(const struct rule *rule, const struct net_target *target)
{
	return rule->methods || target->path;
}

bool net_http_matches(const struct rule *rule, const struct net_target *target,
		      const struct policy_net *net)
{
	bool deny = rule->public.action == POLICY_ACTION_DENY;
	int method;

	if (!is_conditional(rule, target))
		return true;
	if (!net->method)
		return !deny;
	if (net->unclear || !net->path || !policy_path_is_normal(net->path, strlen(net->path)))
		return deny;
	method = method_index(net->method, strlen(net->method));
	if (rule->methods && (method < 0 || !(rule->methods >> method & 1)))
		return false;
	return !target->path || glob_matches(target->path, net->path, strlen(net->path));
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool path_covers(const struct glob *a, const struct glob *b)
{
	/* Of equal texts that of a denial may have one part more. */
	return (strcmp(a->text, b->text) == 0 && a->parts >= b->parts) || glob_is_beneath(a, b);
}

bool net_http_covers(const struct rule *a, const struct net_target *at, const struct rule *b,
		     const struct net_target *bt)
{
	/* Denials also match what is unclear, and other rules about requests do not. */
	if (is_conditional(a, at) && is_conditional(b, bt) &&
	    a->public.action != POLICY_ACTION_DENY && b->public.action == POLICY_ACTION_DENY)
		return false;
	if (a->methods && (!b->methods || (b->methods & ~a->methods)))
		return false;
	return !at->path || (bt->path && path_covers(at->path, bt->path));
}

/* Only literal beginnings tell paths apart here. */
static bool path_overlaps(const struct glob *a, const struct glob *b)
{
	unsigned i;

	for (i = 0; i < a->parts && i < b->parts; i++) {
		const struct glob_part *x = &a->part[i], *y = &b->part[i];

		if (x->kind != GLOB_LITERAL || y->kind != GLOB_LITERAL)
			return true;
		if (x->prefix_length != y->prefix_length ||
		    memcmp(x->prefix, y->prefix, x->prefix_length) != 0)
			return false;
	}
	return true;
}

bool net_http_overlaps(const struct rule *a, const struct net_target *at, const struct rule *b,
		       const struct net_target *bt)
{
	/* Two denials meet in what is unclear. */
	if (is_conditional(a, at) && is_conditional(b, bt) &&
	    a->public.action == POLICY_ACTION_DENY && b->public.action == POLICY_ACTION_DENY)
		return true;
	if (a->methods && b->methods && !(a->methods & b->methods))
		return false;
	return !at->path || !bt->path || path_overlaps(at->path, bt->path);
}
