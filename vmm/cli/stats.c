/* SPDX-License-Identifier: Apache-2.0 */
/* cordon stats: what a sandbox uses, and its live flows. */
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/live.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"
#include "vmm/control/client.h"

/* --- the page of one sandbox ------------------------------------------------------------------ */

static void put_count(struct page *page, const char *name, const json_t *count)
{
	page_put(page, "%-18s %lld", name, (long long)json_integer_value(count));
}

static void put_counters(struct page *page, const json_t *counters)
{
	json_t *faults = json_object_get(counters, "net_bad_frames"), *count;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)counters, name, count)
	{
		if (!json_is_integer(count) || strcmp(name, "id") == 0 ||
		    strcmp(name, "sampled_us") == 0)
			continue;
		put_count(page, name, count);
		page_end_line(page);
	}
	json_object_foreach(faults, name, count)
	{
		put_count(page, "net_bad_frames", count);
		page_put(page, ", %s", name);
		page_end_line(page);
	}
}

static void put_queues(struct page *page, const json_t *counters)
{
	const json_t *queues = json_object_get(counters, "net_queues"), *queue;
	size_t i;

	for (i = 0; i < json_array_size(queues) && json_array_size(queues) > 1; i++) {
		queue = json_array_get(queues, i);
		page_put(page, "net_queue_%-8zu %lld frames sent, %lld received", i,
			 number_in(queue, "frames_out"), number_in(queue, "frames_in"));
		page_end_line(page);
	}
}

static void put_flow(struct page *page, const json_t *flow)
{
	char peer[64];

	snprintf(peer, sizeof(peer), "%.48s:%lld", cell_in(flow, "address"),
		 number_in(flow, "port"));
	page_put(page, "%-4s %-3s %-21s %12lld %12lld %7llds  %-24s %s", cell_in(flow, "protocol"),
		 cell_in(flow, "direction"), peer, number_in(flow, "bytes_out"),
		 number_in(flow, "bytes_in"), number_in(flow, "age_ms") / 1000,
		 cell_in(flow, "name"), cell_in(flow, "rule"));
	page_end_line(page);
}

static void put_flows(struct page *page, const json_t *counters)
{
	const json_t *flows = json_object_get(counters, "flows");
	long long more = number_in(counters, "net_flows") - (long long)json_array_size(flows);
	size_t i;

	if (json_array_size(flows) == 0)
		return;
	page_end_line(page);
	page_put(page, "%-4s %-3s %-21s %12s %12s %8s  %-24s %s", "FLOW", "", "ADDRESS", "SENT",
		 "RECEIVED", "AGE", "NAME", "RULE");
	page_end_line(page);
	for (i = 0; i < json_array_size(flows); i++)
		put_flow(page, json_array_get(flows, i));
	if (more > 0) {
		page_put(page, "and %lld more", more);
		page_end_line(page);
	}
}

static void put_page(struct page *page, const json_t *data)
{
	const json_t *counters = json_object_get(data, "counters");

	top_page_summary(page, data);
	page_end_line(page);
	put_counters(page, counters);
	put_queues(page, counters);
	put_flows(page, counters);
}

static char *stats_page(const json_t *data, struct top_size size)
{
	return page_make(put_page, data, size);
}

/* --- the verb --------------------------------------------------------------------------------- */

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print one JSON object of the counters",
	 .offset = offsetof(struct live, json)},
	{"once", 0, OPTION_FLAG, NULL, "print one page and end, also on a terminal",
	 .offset = offsetof(struct live, once)},
	{"no-stream", 0, OPTION_FLAG, NULL, "the same", .offset = offsetof(struct live, once)},
	{"interval", 0, OPTION_DURATION, "TIME", "time between pages (default: 1s)",
	 .offset = offsetof(struct live, interval_ns)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* The monitor's reply as it is. */
static int print_reply(const char *name, struct err *err)
{
	struct message reply;
	int ret = client_request_once(name, 0, json_pack("{s:s}", "op", "stats"), &reply, err);

	if (ret < 0)
		return ret;
	json_object_del(reply.body, "ok");
	json_object_del(reply.body, "id");
	print_json(reply.body, JSON_INDENT(2));
	message_clear(&reply);
	return 0;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct live live;
	const struct option_set set = {&table, &live};
	static const struct verb_words words = {.verb = &verb_stats, .most = 1};
	int ret;

	live = (struct live){.page = top_page, .interval_ns = LIVE_INTERVAL_NS};
	ret = verb_words(&words, &set, 1, argc, argv, err);
	if (ret < 0)
		return ret;
	if (ret > 0 && live.json)
		return print_reply(argv[1], err);
	if (ret > 0) {
		live.view.name = argv[1];
		live.view.counters = true;
		live.page = stats_page;
	}
	return live_run(&live, "stats", err);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_stats = {
	.name = "stats",
	.group = VERB_SANDBOXES,
	.usage = "[options] [NAME]",
	.summary = "show what a sandbox uses, and its live flows",
	.description =
		"Processor and memory in use against the sandbox's limits, in percent, and its "
		"counters and flows. 100 % is one processor. Without NAME: a line for each "
		"sandbox, as `cordon top`. On a terminal the page is refreshed in place until `q` "
		"or Ctrl-C; otherwise it is printed once.",
	.options = tables,
	.see_also = "top ps",
	.run = run,
};
