/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request `stats`: counters, and live flows of the network. Its relay reports about flows on
 * request, at most one at a time: all clients that wait get the report, each within a time limit
 * of its own.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/control/requests.h"
#include "vmm/relay/client.h"

#define PATIENCE_NS 1000000000ull /* for the relay: then the last report has to do */

/* --- flows ------------------------------------------------------------------------------------ */

/* Flows as the relay reports them, and their sum. */
struct flows {
	const struct network *network;
	json_t *list;
	uint64_t bytes_out, bytes_in; /* of frames */
	uint32_t count, waiting;
};

static json_t *describe_flow(const struct relay_flow_info *flow, const struct policy *policy)
{
	char address[IP_TEXT], rule[160] = "--publish";
	const struct policy_rule *by = NULL;

	if (flow->rule > 0 && flow->rule <= policy_rule_count(policy, POLICY_NET))
		by = policy_rule(policy, POLICY_NET, flow->rule - 1);
	if (!flow->inbound)
		snprintf(rule, sizeof(rule), "%.120s:%u", by ? by->file : "", by ? by->line : 0);
	return json_pack("{s:s,s:s*,s:s,s:i,s:s,s:I,s:I,s:I,s:s*}", "protocol",
			 policy_protocol_name((enum policy_protocol)flow->protocol), "name",
			 flow->host	 ? "host"
			 : flow->name[0] ? flow->name
					 : NULL,
			 "address", ip_text(&flow->peer, address), "port",
			 flow->inbound ? (int)flow->guest_port : (int)flow->peer_port, "direction",
			 flow->inbound ? "in" : "out", "bytes_out", (json_int_t)flow->bytes_out,
			 "bytes_in", (json_int_t)flow->bytes_in, "age_ms",
			 (json_int_t)(flow->age_ns / 1000000u), "rule",
			 by || flow->inbound ? rule : NULL);
}

static void list_reported(void *arg, const struct policy *policy)
{
	struct flows *flows = arg;
	const struct relay_client_report *report = network_report(flows->network);
	unsigned i;

	for (i = 0; report && i < report->flows && i < MONITOR_FLOWS_MAX; i++)
		json_array_append_new(flows->list, describe_flow(&report->flow[i], policy));
}

static void read_report(struct flows *flows, struct guard *guard)
{
	const struct relay_client_report *report = network_report(flows->network);

	guard_with_policy(guard, list_reported, flows);
	flows->waiting = network_waiting(flows->network);
	if (!report)
		return;
	flows->bytes_out = report->total.guest_bytes;
	flows->bytes_in = report->total.peer_bytes;
	flows->count = report->total.flows;
}

/* What the relay kept from the guest, or from its peers; frames by their fault. */
static void describe_losses(const struct relay_stats *total, json_t *body)
{
	json_t *faults = json_object();
	unsigned i;

	json_object_set_new(body, "net_refused", json_integer((json_int_t)total->refused));
	json_object_set_new(body, "net_flooded", json_integer((json_int_t)total->flooded));
	json_object_set_new(body, "net_dropped", json_integer((json_int_t)total->dropped));
	json_object_set_new(body, "net_unlogged", json_integer((json_int_t)total->unlogged));
	for (i = 0; i < PACKET_VERDICTS; i++)
		if (i != PACKET_OK && i != PACKET_IGNORED && total->drop[i] > 0)
			json_object_set_new(faults, packet_verdict_text((enum packet_verdict)i),
					    json_integer((json_int_t)total->drop[i]));
	json_object_set_new(body, "net_bad_frames", faults);
}

/* Of flows across a tap nothing is known but what the card counts. */
static void read_card(struct flows *flows)
{
	struct net_card_stats stats;
	unsigned i;

	net_card_stats(flows->network->card, &stats);
	for (i = 0; i < NET_CARD_PAIRS; i++) {
		flows->bytes_out += stats.pair[i].bytes_transmitted;
		flows->bytes_in += stats.pair[i].bytes_received;
	}
}

/* Counters of each queue pair of the card. */
static void describe_pairs(const struct net_card *card, json_t *body)
{
	struct net_card_stats stats = {.pairs = 0};
	json_t *list = json_array();
	unsigned i;

	if (card)
		net_card_stats(card, &stats);
	for (i = 0; i < stats.pairs; i++)
		json_array_append_new(
			list, json_pack("{s:I,s:I,s:I,s:I}", "frames_out",
					(json_int_t)stats.pair[i].transmitted, "frames_in",
					(json_int_t)stats.pair[i].received, "bytes_out",
					(json_int_t)stats.pair[i].bytes_transmitted, "bytes_in",
					(json_int_t)stats.pair[i].bytes_received));
	json_object_set_new(body, "net_queues", list);
}

static void describe_network(const struct monitor *monitor, json_t *body)
{
	const struct network *network = &monitor->session.sandbox.network;
	struct flows flows = {.network = network};

	if (!network_exists(network))
		return;
	flows.list = json_array();
	if (network->relay)
		read_report(&flows, monitor->session.guard);
	else
		read_card(&flows);
	json_object_set_new(body, "net_bytes_out", json_integer((json_int_t)flows.bytes_out));
	json_object_set_new(body, "net_bytes_in", json_integer((json_int_t)flows.bytes_in));
	json_object_set_new(body, "net_questions_open", json_integer((json_int_t)flows.waiting));
	json_object_set_new(body, "net_flows", json_integer((json_int_t)flows.count));
	if (network->relay && network_report(network))
		describe_losses(&network_report(network)->total, body);
	json_object_set_new(body, "flows", flows.list);
	describe_pairs(network->card, body);
}

/* --- all counters ----------------------------------------------------------------------------- */

/* KiB of a line of /proc/self/smaps_rollup, such as "Pss:". */
static json_int_t kib_of(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	return at ? strtoll(at + strlen(line), NULL, 10) : 0;
}

static json_t *describe(struct monitor *monitor)
{
	struct machine *machine = &monitor->session.sandbox.machine;
	struct vsock_stats vsock;
	unsigned long exits = 0;
	char memory[4096] = "";
	json_t *body;
	unsigned i;

	if (fd_pread_full(monitor->files.memory, memory, sizeof(memory) - 1, 0) < 0)
		memory[0] = '\0';
	vsock_stats(machine->devices.vsock, &vsock);
	for (i = 0; i < machine->vcpus; i++)
		exits += atomic_load(&machine->vcpu[i].exits);
	body = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i}", "exits", (json_int_t)exits, "cpu_us",
			 (json_int_t)(clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000), "private_kib",
			 kib_of(memory, "Private_Clean:") + kib_of(memory, "Private_Dirty:"),
			 "proportional_kib", kib_of(memory, "Pss:"), "vsock_to_guest",
			 (json_int_t)vsock.bytes_to_guest, "vsock_from_guest",
			 (json_int_t)vsock.bytes_from_guest, "console_bytes",
			 (json_int_t)machine->console.bytes, "jobs", (int)monitor->job_count);
	describe_network(monitor, body);
	return body;
}

/* --- the request ------------------------------------------------------------------------------ */

static void reply(struct client *client)
{
	client->counts = false;
	loop_timer_stop(client->monitor->session.loop, &client->count_timer);
	server_reply(client, client->count_id, describe(client->monitor));
}

/* The relay has reported, or ended: all clients that wait get a reply. */
static void reported(void *arg)
{
	const struct monitor *monitor = arg;
	struct client *client;

	for (client = monitor->clients; client; client = client->next)
		if (client->counts)
			reply(client);
}

static void count_over(void *arg)
{
	reply(arg);
}

void op_stats(struct client *client, struct message *message)
{
	struct monitor *monitor = client->monitor;

	if (client->counts) {
		server_refuse(client, request_id(message->body),
			      "another request for the counters waits on this connection");
		return;
	}
	client->count_id = request_id(message->body);
	client->count_timer = (struct loop_timer){.expired = count_over, .arg = client};
	if (!network_request_report(&monitor->session.sandbox.network, reported, monitor)) {
		reply(client);
		return;
	}
	client->counts = true;
	loop_timer_start(monitor->session.loop, &client->count_timer, PATIENCE_NS);
}
