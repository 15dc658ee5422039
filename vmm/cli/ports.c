/* SPDX-License-Identifier: Apache-2.0 */
/* cordon ports: the published ports of a sandbox. */
#include <stdio.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/print.h"
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

struct ports_options {
	bool json;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print a list of JSON objects",
	 .offset = offsetof(struct ports_options, json)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static void print_ports(const json_t *ports)
{
	const json_t *port;
	size_t i;

	printf("%-8s %-39s %8s  %s\n", "PROTOCOL", "ADDRESS", "HOSTPORT", "PORT");
	for (i = 0; i < json_array_size(ports); i++) {
		port = json_array_get(ports, i);
		text_line(stdout, "%-8s %-39s %8lld  %lld", cell_in(port, "protocol"),
			  cell_in(port, "address"), number_in(port, "host_port"),
			  number_in(port, "port"));
	}
}

static int run(int argc, char **argv, struct err *err)
{
	struct ports_options options = {.json = false};
	const struct option_set set = {&table, &options};
	struct message reply;
	const json_t *ports;
	static const struct verb_words words = {&verb_ports, NULL, 1, 1, "of which sandbox?"};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = client_request_once(argv[1], PATIENCE_MS, json_pack("{s:s}", "op", "ports"), &reply,
				  err);
	if (ret < 0)
		return ret;
	ports = json_object_get(reply.body, "ports");
	if (options.json)
		print_json(ports, JSON_INDENT(2));
	else
		print_ports(ports);
	message_clear(&reply);
	return 0;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_ports = {
	.name = "ports",
	.group = VERB_SANDBOXES,
	.usage = "[--json] NAME",
	.summary = "list the published ports of a sandbox",
	.options = tables,
	.see_also = "publish unpublish",
	.run = run,
};
