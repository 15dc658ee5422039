/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/network_options.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"

static int set_net(void *arg, const char *value, struct err *err)
{
	if (strncmp(value, "tap=", 4) == 0)
		return err_set(err, ENOTSUP,
			       "a tap is not in this version of Cordon: use --net user");
	if (strcmp(value, "none") != 0 && strcmp(value, "user") != 0)
		return err_set(err, EINVAL, "'%s' is no network: none or user", value);
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

const struct cli_option network_option_table[] = {
	{"net", 0, "MODE",
	 "none, or user: by passt, as the policy's net rules say (user if it has any)", set_net},
	{"publish", 0, "PORT:PORT",
	 "a port of the host leads to one of the sandbox: [ADDR:]HOST:GUEST[/udp]", add_publish},
};

const size_t network_option_count = ARRAY_SIZE(network_option_table);

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

	if (none && config->published > 0)
		return err_set(err, EINVAL,
			       "--publish: with --net none there is no card to reach the sandbox "
			       "by: see --publish-vsock");
	/* No rule, no card: and no card without somebody who decides. */
	if (options->net && !none && !wanted)
		return err_set(
			err, EINVAL,
			"--net user: the policy %s allows no network: add a line such as \"net "
			"allow tls example.com:443\"",
			policy_name(options->policy));
	config->user = wanted && !none;
	return probe_ports(config, err);
}
