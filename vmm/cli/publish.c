/* SPDX-License-Identifier: Apache-2.0 */
/* cordon publish: open a port of the host that leads to a sandbox which runs. */
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"
#include "vmm/net/publish.h"

static int run(int argc, char **argv, struct err *err)
{
	struct publish publish;
	struct message reply;
	static const struct verb_words words = {&verb_publish, NULL, 2, 2,
						"which port of which sandbox?"};
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = publish_parse(&publish, argv[2], err);
	if (ret == 0)
		ret = client_request_once(argv[1], PATIENCE_MS,
					  json_pack("{s:s,s:s}", "op", "publish", "port", argv[2]),
					  &reply, err);
	if (ret == 0)
		message_clear(&reply);
	return ret;
}

const struct verb verb_publish = {
	.name = "publish",
	.group = VERB_SANDBOXES,
	.usage = "NAME [ADDR:]HOSTPORT:PORT[/udp]",
	.summary = "forward a port of the host to a port of a sandbox that runs",
	.description =
		"As `--publish` of `run` and `start`: HOSTPORT is opened on 127.0.0.1, or on ADDR "
		"(0.0.0.0: all IPv4 addresses; IPv6 in brackets: [::1]; *: all). Every client that "
		"reaches the port can connect, whatever the policy says. The sandbox must have a "
		"network: from `net` rules in its policy, or from `--publish`.",
	.examples = "  cordon publish box 8080:80\n  cordon publish box [::1]:5353:53/udp",
	.see_also = "unpublish ports",
	.run = run,
};
