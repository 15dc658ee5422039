/* SPDX-License-Identifier: Apache-2.0 */
/* cordon policy explain: what would be decided, and by which rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/base/quantity.h"
#include "vmm/base/text.h"
#include "vmm/cli/policy.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/policy_file.h"
#include "vmm/policy/explain.h"
#include "vmm/relay/http_request.h"

static void explain_one(const struct policy *policy, const struct policy_request *request)
{
	static struct policy_explanation explanation;

	policy_explain(policy, request, &explanation);
	printf("%-10s %-5s %s", policy_op_name(request->op),
	       policy_verdict_name(explanation.decision.verdict), explanation.decision.reason);
	if (explanation.decision.rule) {
		printf(" (");
		text_put(stdout, explanation.decision.rule->file);
		printf(":%u: ", explanation.decision.rule->line);
		text_put(stdout, explanation.decision.rule->text);
		putchar(')');
	}
	printf(" [%s]\n", policy_enforced_by_name(explanation.decision.enforced_by));
}

/* Rules about it are never asked: the guest's packets to it do not leave the guest. */
static void note_loopback(const struct policy_net *net)
{
	static const uint8_t six[16] = {[15] = 1};

	if ((net->family == AF_INET && net->address[0] == 127) ||
	    (net->family == AF_INET6 && memcmp(net->address, six, sizeof(six)) == 0) ||
	    (net->name && strcmp(net->name, "localhost") == 0))
		log_warning("this is the sandbox's own loopback, about which no rule is asked: the "
			    "host's is called host");
}

static int parse_host(char *text, struct policy_net *net, struct err *err)
{
	if (inet_pton(AF_INET, text, net->address) == 1)
		net->family = AF_INET;
	else if (inet_pton(AF_INET6, text, net->address) == 1)
		net->family = AF_INET6;
	else if (strpbrk(text, "*/"))
		return err_set(err, EINVAL, "'%s': give one name or address, not a pattern", text);
	else if (text[0] == '\0' || strpbrk(text, ":[]") ||
		 strspn(text, "0123456789.") == strlen(text))
		return err_set(err, EINVAL, "'%s' is not a name or an address", text);
	else
		net->name = text;
	net->host = net->name && strcmp(text, "host") == 0;
	note_loopback(net);
	return 0;
}

/* NAME:PORT, ADDRESS:PORT, [ADDRESS]:PORT, or without a port where the protocol has none. */
static int parse_peer(char *text, struct policy_net *net, struct err *err)
{
	bool ports = net->protocol != POLICY_ICMP && net->protocol != POLICY_DNS;
	char *port = strrchr(text, ':'), *end;
	uint64_t number;
	int ret;

	if (strstr(text, "://"))
		return err_set(err, EINVAL, "'%s': leave out '%.*s'", text,
			       (int)(strstr(text, "://") - text) + 3, text);
	if (!ports && port && (port == strchr(text, ':') || (port > text && port[-1] == ']')))
		return err_set(err, EINVAL, "'%s': %s has no ports", text,
			       policy_protocol_name(net->protocol));
	if (ports) {
		if (!port)
			return err_set(err, EINVAL, "'%s': give NAME:PORT or ADDRESS:PORT", text);
		*port++ = '\0';
		ret = quantity_number(port, 1, UINT16_MAX, &number, err);
		if (ret < 0)
			return ret;
		net->port = (uint16_t)number;
	}
	end = text + strlen(text);
	if (text[0] == '[' && end[-1] == ']') {
		*--end = '\0';
		text++;
	}
	return parse_host(text, net, err);
}

/*
 * [METHOD] HOST[:PORT][/PATH] of http: takes the path off the peer, which gets a port. Without
 * method and path it is the connection before its first request.
 */
static int parse_request(int argc, char **argv, char *peer, size_t size, struct policy_net *net,
			 struct err *err)
{
	static struct request_head head;
	char *text = argv[argc - 1], *scheme = strstr(text, "://");
	char *path = strchr(scheme ? scheme + 3 : text, '/');
	size_t length = path ? (size_t)(path - text) : strlen(text);
	const char *end = memchr(text, ']', length);

	if (path == text)
		return err_set(err, EINVAL, "'%.200s': give HOST[:PORT][/PATH]", text);
	if (argc == 2 && argv[0][strspn(argv[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")] != '\0')
		return err_set(err, EINVAL, "'%.40s': give a method in capitals, such as GET",
			       argv[0]);
	if (path && !request_read_path(path, strcspn(path, "?"), &head))
		return err_set(err, EINVAL, "policy explain: '%.200s' is not the path of a URL",
			       path);
	snprintf(peer, size, "%.*s%s", (int)length, text,
		 memchr(end ? end : text, ':', length - (size_t)((end ? end : text) - text))
			 ? ""
			 : ":80");
	if (argc == 1 && !path)
		return 0;
	net->method = argc == 2 ? argv[0] : "GET";
	net->path = path ? head.path : "/";
	net->unclear = head.unclear != NULL;
	if (net->unclear)
		log_warning("servers may read this path in two ways (%s): no rule with a method or "
			    "path allows it, and each one that denies such a request denies it",
			    head.unclear);
	return 0;
}

static int explain_net(const struct policy *policy, int argc, char **argv, struct err *err)
{
	static const char *const words[] = {"tcp", "udp", "tls", "http", "icmp", "dns"};
	struct policy_request request = {.class = POLICY_NET, .op = POLICY_CONNECT};
	char peer[512], *text = argc > 0 ? argv[argc - 1] : NULL;
	unsigned i;
	int ret = 0;

	if (argc != 2 && !(argc == 3 && strcmp(argv[0], "http") == 0))
		return err_set(
			err, EINVAL,
			"policy explain: one protocol and one peer are needed: cordon policy "
			"explain FILE net PROTOCOL PEER");
	for (i = 0; i < ARRAY_SIZE(words) && strcmp(words[i], argv[0]) != 0;)
		i++;
	if (i == ARRAY_SIZE(words))
		return err_set(err, EINVAL, "'%s' is none of tcp, udp, tls, http, icmp, dns",
			       argv[0]);
	request.net.protocol = (enum policy_protocol)i;
	if (request.net.protocol == POLICY_DNS)
		request.op = POLICY_RESOLVE;
	if (request.net.protocol == POLICY_HTTP) {
		ret = parse_request(argc - 1, argv + 1, peer, sizeof(peer), &request.net, err);
		text = peer;
	}
	if (ret == 0)
		ret = parse_peer(text, &request.net, err);
	if (ret == 0)
		explain_one(policy, &request);
	return ret;
}

static int explain_path(const struct policy *policy, enum policy_class class, int argc, char **argv,
			struct err *err)
{
	struct policy_request request = {.class = class, .root = POLICY_ROOT_FIND};
	unsigned op;

	if (argc != 1 || argv[0][0] != '/')
		return err_set(err, EINVAL, "policy explain: give one absolute path of the guest");
	if (!policy_path_is_normal(argv[0], strlen(argv[0])))
		return err_set(
			err, EINVAL,
			"policy explain: '%.200s': rules match paths without '.', '..', '//' "
			"and a '/' at the end",
			argv[0]);
	request.object = argv[0];
	request.length = strlen(argv[0]);
	if (class == POLICY_EXEC) {
		request.op = POLICY_RUN;
		explain_one(policy, &request);
		return 0;
	}
	for (op = POLICY_LOOKUP; op <= POLICY_ATTRIBUTES; op++) {
		request.op = (enum policy_op)op;
		explain_one(policy, &request);
	}
	return 0;
}

static int explain_group(const struct policy *policy, int argc, char **argv, struct err *err)
{
	struct policy_request request = {.class = POLICY_PROCESS, .op = POLICY_USE};
	const char *names[POLICY_GROUPS], *near;
	unsigned group;

	for (group = 0; group < POLICY_GROUPS; group++)
		names[group] = policy_group_name((enum policy_group)group);
	if (argc != 1)
		return err_set(err, EINVAL, "policy explain: give one group, such as %s", names[0]);
	if (policy_group_named(argv[0], strlen(argv[0])) < 0) {
		near = nearest_word(argv[0], names, POLICY_GROUPS);
		return err_set(err, EINVAL, "'%s' is no group of system calls%s%s%s", argv[0],
			       near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	request.object = argv[0];
	request.length = strlen(argv[0]);
	explain_one(policy, &request);
	return 0;
}

int policy_explain_verb(int argc, char **argv, struct err *err)
{
	static struct policy_options options = {.lenient = true};
	struct policy *policy;
	static const struct verb_words words = {&verb_policy, "explain", 3, VERB_WORDS_ANY,
						"which operation, by which policy?"};
	int count = verb_words(&words, NULL, 0, argc, argv, err), ret;

	if (count < 0)
		return count;
	ret = policy_add_file(&options, argv[1], err);
	if (ret == 0)
		ret = policy_load(&policy, &options, err);
	if (ret < 0)
		return ret;
	if (strcmp(argv[2], "file") == 0)
		ret = explain_path(policy, POLICY_FILE, count - 2, argv + 3, err);
	else if (strcmp(argv[2], "exec") == 0)
		ret = explain_path(policy, POLICY_EXEC, count - 2, argv + 3, err);
	else if (strcmp(argv[2], "net") == 0)
		ret = explain_net(policy, count - 2, argv + 3, err);
	else if (strcmp(argv[2], "process") == 0)
		ret = explain_group(policy, count - 2, argv + 3, err);
	else
		ret = err_set(err, EINVAL, "'%s' is no class: file, net, exec or process", argv[2]);
	policy_free(policy);
	return ret;
}
