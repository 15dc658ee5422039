/* SPDX-License-Identifier: Apache-2.0 */
/* cordon stats: what a sandbox uses, and its live flows. */
#include <stdio.h>

#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"
#include "vmm/control/client.h"

static void print_queues(const json_t *stats)
{
	const json_t *queues = json_object_get(stats, "net_queues"), *queue;
	size_t i;

	for (i = 0; i < json_array_size(queues) && json_array_size(queues) > 1; i++) {
		queue = json_array_get(queues, i);
		printf("net_queue_%-8zu %lld frames sent, %lld received\n", i,
		       number_in(queue, "frames_out"), number_in(queue, "frames_in"));
	}
}

static void print_bad_frames(const json_t *stats)
{
	json_t *faults = json_object_get(stats, "net_bad_frames"), *count;
	const char *fault;

	json_object_foreach(faults, fault, count)
	{
		text_line(stdout, "%-18s %lld, %s", "net_bad_frames",
			  (long long)json_integer_value(count), fault);
	}
}

static void print_flows(const json_t *stats)
{
	const json_t *flows = json_object_get(stats, "flows"), *flow;
	long long more = number_in(stats, "net_flows") - (long long)json_array_size(flows);
	char peer[32];
	size_t i;

	if (json_array_size(flows) == 0)
		return;
	printf("\n%-4s %-3s %-21s %12s %12s %8s  %-24s %s\n", "FLOW", "", "ADDRESS", "SENT",
	       "RECEIVED", "AGE", "NAME", "RULE");
	for (i = 0; i < json_array_size(flows); i++) {
		flow = json_array_get(flows, i);
		snprintf(peer, sizeof(peer), "%s:%lld", cell_in(flow, "address"),
			 number_in(flow, "port"));
		text_line(stdout, "%-4s %-3s %-21s %12lld %12lld %7llds  %-24s %s",
			  cell_in(flow, "protocol"), cell_in(flow, "direction"), peer,
			  number_in(flow, "bytes_out"), number_in(flow, "bytes_in"),
			  number_in(flow, "age_ms") / 1000, cell_in(flow, "name"),
			  cell_in(flow, "rule"));
	}
	if (more > 0)
		printf("and %lld more\n", more);
}

struct stats_options {
	bool json, no_stream;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print one JSON object",
	 .offset = offsetof(struct stats_options, json)},
	{"no-stream", 0, OPTION_FLAG, NULL, "without NAME: print once, and end",
	 .offset = offsetof(struct stats_options, no_stream)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static void print_stats(const json_t *stats)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)stats, name, value) if (json_is_integer(value))
		text_line(stdout, "%-18s %lld", name, (long long)json_integer_value(value));
	print_bad_frames(stats);
	print_queues(stats);
	print_flows(stats);
}

/* Use in percent, and against limits, is what `top` shows. */
static int show_all(const struct stats_options *options, struct err *err)
{
	char verb[] = "top", once[] = "--once", json[] = "--json", *argv[4] = {verb};
	int argc = 1;

	if (options->no_stream)
		argv[argc++] = once;
	if (options->json)
		argv[argc++] = json;
	return verb_top.run(argc, argv, err);
}

static int run(int argc, char **argv, struct err *err)
{
	struct stats_options options = {.json = false};
	const struct option_set set = {&table, &options};
	struct message reply;
	static const struct verb_words words = {.verb = &verb_stats, .most = 1};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	if (ret == 0)
		return show_all(&options, err);
	ret = client_request_once(argv[1], 0, json_pack("{s:s}", "op", "stats"), &reply, err);
	if (ret < 0)
		return ret;
	json_object_del(reply.body, "ok");
	json_object_del(reply.body, "id");
	if (options.json)
		print_json(reply.body, JSON_INDENT(2));
	else
		print_stats(reply.body);
	message_clear(&reply);
	return 0;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_stats = {
	.name = "stats",
	.group = VERB_SANDBOXES,
	.usage = "[options] [NAME]",
	.summary = "show what a sandbox uses, and its live flows",
	.description = "Without NAME: a line for each sandbox, as `cordon top`.",
	.options = tables,
	.see_also = "top ps",
	.run = run,
};
