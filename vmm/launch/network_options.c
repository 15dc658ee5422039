/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/network_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/quantity.h"
#include "vmm/launch/policy_file.h"

static int set_net(void *arg, const char *value, struct err *err)
{
	struct network_config *config = &((struct sandbox_options *)arg)->sandbox.network;

	config->tap[0] = '\0';
	if (strncmp(value, "tap=", 4) == 0) {
		if (strlen(value + 4) > TAP_NAME_MAX || value[4] == '\0')
			return err_set(err, EINVAL, "'%s' is not the name of an interface",
				       value + 4);
		strcpy(config->tap, value + 4);
	} else if (strcmp(value, "none") != 0 && strcmp(value, "user") != 0) {
		return err_set(err, EINVAL,
			       "'%s' is no network: none, user (through the policy) or "
			       "tap=INTERFACE",
			       value);
	}
	((struct sandbox_options *)arg)->net = value;
	return 0;
}

static int add_publish(void *arg, const char *value, struct err *err)
{
	struct network_config *config = &((struct sandbox_options *)arg)->sandbox.network;
	struct publish *publish = &config->publish[config->published];
	unsigned i;
	int ret;

	if (config->published == PUBLISH_MAX)
		return err_set(err, E2BIG, "more than %d ports", PUBLISH_MAX);
	ret = publish_parse(publish, value, err);
	if (ret < 0)
		return ret;
	for (i = 0; i < config->published; i++)
		if (publish_clash(&config->publish[i], publish))
			return err_set(err, EINVAL, "port %u of the host is published twice",
				       publish->host_port);
	config->published++;
	return 0;
}

/* Makes the path absolute: the monitor has another working directory. */
static int set_path(struct socket_config *config, const char *path, size_t length, struct err *err)
{
	char directory[PATH_MAX] = "";

	if (length == 0)
		return err_set(err, EINVAL, "the path of the socket is empty");
	if (path[0] != '/' && !getcwd(directory, sizeof(directory)))
		return err_sys(err, "the working directory");
	if (snprintf(config->path, sizeof(config->path), "%s%s%.*s", directory,
		     directory[0] ? "/" : "", (int)length, path) >= (int)sizeof(config->path))
		return err_set(
			err, ENAMETOOLONG,
			"%.*s: the path of a socket has at most %zu bytes, counting its directory",
			(int)length, path, sizeof(config->path) - 1);
	return 0;
}

static int add_socket(void *arg, const char *value, struct err *err)
{
	struct publish_vsock_config *sockets = &((struct sandbox_options *)arg)->sandbox.sockets;
	struct socket_config *config = &sockets->socket[sockets->count];
	const char *colon = strrchr(value, ':'), *slash;
	uint64_t port;
	char digits[16];
	unsigned i;
	int ret;

	if (sockets->count == PUBLISH_VSOCK_MAX)
		return err_set(err, E2BIG, "more than %u ports", PUBLISH_VSOCK_MAX);
	slash = colon ? strchr(colon, '/') : NULL;
	if (!colon || (slash && strcmp(slash, "/tcp") != 0 && strcmp(slash, "/vsock") != 0))
		return err_set(err, EINVAL, "'%s' is not SOCKET:PORT or SOCKET:PORT/vsock", value);
	config->vsock = slash && strcmp(slash, "/vsock") == 0;
	snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(colon + 1, "/"), colon + 1);
	ret = quantity_number(digits, 1, config->vsock ? UINT32_MAX - 1 : UINT16_MAX, &port, err);
	if (ret == 0)
		ret = set_path(config, value, (size_t)(colon - value), err);
	if (ret < 0)
		return ret;
	config->port = (uint32_t)port;
	for (i = 0; i < sockets->count; i++)
		if (strcmp(sockets->socket[i].path, config->path) == 0)
			return err_set(err, EINVAL, "%s is given twice", config->path);
	sockets->count++;
	return 0;
}

static int set_rate(void *arg, const char *value, struct err *err)
{
	struct network_config *config = &((struct sandbox_options *)arg)->sandbox.network;

	return sandbox_options_rate(value, &config->bytes_per_second, &config->frames_per_second,
				    err);
}

static const struct option_entry entries[] = {
	{"net", 0, OPTION_CALL, "MODE", "network: none, user, or tap=INTERFACE (not filtered)",
	 "`user` opens what the policy's `net` rules allow, and needs no privileges; it is the "
	 "default if there are such rules. `tap=INTERFACE` is for administrators: a tap of the "
	 "host that exists, is up and has an IPv4 address. What crosses it is not filtered, so "
	 "the first `net` rule of the policy must be `net allow any`. `none` gives no network "
	 "whatever the rules say; it is the default if there are none.",
	 .set = set_net},
	{"net-rate", 0, OPTION_CALL, "BYTES[:N]",
	 "limit each direction to BYTES (and N packets) a second", .set = set_rate},
	{"network", 0, OPTION_CALL, "MODE", "the same as --net", .set = set_net},
	{"publish", 'p', OPTION_CALL, "[ADDR:]HOSTPORT:PORT[/udp]",
	 "forward a port of the host to a port of the sandbox",
	 "HOSTPORT is opened on 127.0.0.1, or on ADDR (0.0.0.0: all IPv4 addresses; IPv6 in "
	 "brackets: [::1]; *: all). `/tcp` is the default. May be given up to 16 times, and brings "
	 "a network by itself. Every client that reaches the port can connect, whatever the policy "
	 "says. Forks have no published ports.",
	 .set = add_publish},
	{"publish-vsock", 0, OPTION_CALL, "SOCKET:PORT",
	 "forward a Unix socket to a port of the sandbox's loopback; needs no network",
	 "The Unix socket SOCKET of the host leads to a TCP port of the sandbox's loopback, or "
	 "with `SOCKET:PORT/vsock` to a vsock port. May be given up to 16 times.",
	 .set = add_socket},
};

const struct option_table network_option_table = {"Network", entries, ARRAY_SIZE(entries)};

/* Nothing is filtered on a tap: the policy has to say so. */
static int check_tap(const struct network_config *config, const struct policy *policy,
		     struct err *err)
{
	if (!policy_allows_any(policy))
		return err_set(err, EINVAL,
			       "--net tap=%s: frames on a tap are not filtered, so the first net "
			       "rule of the policy %s must be \"net allow any\": add that line, or "
			       "leave the option out",
			       config->tap, policy_name(policy));
	if (config->published > 0)
		return err_set(
			err, EINVAL,
			"--publish: with --net tap=%s the sandbox has an address of its own, "
			"at which all of its ports are open: leave the option out",
			config->tap);
	return 0;
}

static int probe_ports(const struct network_config *config, struct err *err)
{
	char text[PUBLISH_TEXT];
	struct err why;
	unsigned i;
	int ret;

	for (i = 0; i < config->published; i++) {
		ret = publish_probe(&config->publish[i], &why);
		if (ret < 0)
			return err_set(err, -ret, "--publish %s: %s",
				       publish_text(&config->publish[i], text), why.text);
	}
	return 0;
}

int network_apply(struct sandbox_options *options, struct err *err)
{
	struct network_config *config = &options->sandbox.network;
	bool wanted = policy_rule_count(options->policy, POLICY_NET) > 0 || config->published > 0;
	bool none = options->net && strcmp(options->net, "none") == 0;
	unsigned i;
	int ret = 0;

	if (none && config->published > 0)
		return err_set(err, EINVAL,
			       "--publish: with --net none there is no card to reach the sandbox "
			       "by: see --publish-vsock");
	/* Without a net rule the relay would have nothing to decide by: no network. */
	if (config->tap[0])
		ret = check_tap(config, options->policy, err);
	else if (options->net && !none && !wanted)
		return err_set(
			err, EINVAL,
			"--net %s: the policy %s allows no network: add a line such as \"net "
			"allow tls example.com:443\"",
			options->net, policy_name(options->policy));
	config->user = wanted && !none && !config->tap[0];
	for (i = 0; i < options->sandbox.sockets.count && ret == 0; i++)
		ret = policy_check_outside(options->policy, options->sandbox.sockets.socket[i].path,
					   "a published socket", err);
	return ret < 0 ? ret : probe_ports(config, err);
}
