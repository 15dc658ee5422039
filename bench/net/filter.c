/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the frame filter alone: nanoseconds of processor time for a frame of an open
 * connection, by the number of connections, and for a new one, by the number of rules. Prints a
 * line `ID VALUE UNIT` a figure.
 *
 *     net-filter [FRAMES]     (1000000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/support/net_frames.h"
#include "vmm/base/bytes.h"
#include "vmm/net/filter.h"
#include "vmm/policy/policy.h"

#define SECOND UINT64_C(1000000000)
#define PEERS  64
#define SPARE  1000000 /* nanoseconds of filter time for each new flow: within the filter's rate */
#define KEPT   4096    /* prepared frames */
#define MANY   1000u   /* rules */
#define FLOWS  5000    /* new ones */

static struct policy *policy;
static uint64_t passed;

static double cpu_ns(void)
{
	struct timespec time;

	/* Processor time: the host may be busy. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void to_side(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	(void)frame;
	(void)length;
	passed++;
}

static enum filter_verdict decide(void *arg, const struct filter_request *request, uint32_t *order)
{
	static const enum policy_protocol protocol[] = {
		[FILTER_TCP] = POLICY_TCP,   [FILTER_UDP] = POLICY_UDP,	  [FILTER_TLS] = POLICY_TLS,
		[FILTER_HTTP] = POLICY_HTTP, [FILTER_ICMP] = POLICY_ICMP, [FILTER_DNS] = POLICY_DNS,
	};
	struct policy_request question = {.class = POLICY_NET,
					  .op = POLICY_CONNECT,
					  .net = {.protocol = protocol[request->protocol],
						  .name = request->name,
						  .port = request->port,
						  .family = AF_INET}};
	struct policy_decision decision;

	(void)arg;
	store_be32(question.net.address, request->address);
	policy_decide(policy, &question, &decision);
	*order = decision.number > 0 ? decision.number - 1 : FILTER_NO_RULE;
	return decision.verdict == POLICY_ALLOW ? FILTER_ALLOW : FILTER_DENY;
}

static bool check(void *arg, const struct filter_request *request)
{
	uint32_t order;

	return decide(arg, request, &order) == FILTER_ALLOW;
}

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	(void)what;
	(void)object;
	(void)detail;
}

static int resolve(void *arg, uint32_t ticket, const char *name)
{
	(void)arg;
	(void)ticket;
	(void)name;
	return -1;
}

static int ask(void *arg, const struct filter_request *request)
{
	(void)arg;
	(void)request;
	return -1;
}

static void unask(void *arg, uint32_t question)
{
	(void)arg;
	(void)question;
}

/* Only the last rules match; those before them are of all kinds. */
static void make_policy(unsigned rules)
{
	static char text[POLICY_FILE_MAX];
	struct policy_source source = {.name = "bench", .directory = "/"};
	size_t used = (size_t)sprintf(text, "policy 1\n");
	struct err err;
	unsigned i;

	for (i = 1; i < rules; i++)
		used += (size_t)sprintf(text + used,
					i % 4 == 0   ? "net allow tls api%u.example.com:443\n"
					: i % 4 == 1 ? "net allow tls *.zone%u.example.org:443\n"
					: i % 4 == 2 ? "net allow tcp host%u.example.net:22\n"
						     : "net allow tcp 100.%u.%u.0/24:5432\n",
					i % 4 == 3 ? i / 1024 : i, i / 4 % 256);
	used += (size_t)sprintf(text + used, "net allow tcp 93.184.0.0/16:80\n"
					     "net allow udp 93.184.0.0/16:123\n");
	policy_free(policy);
	if (policy_parse(&policy, text, used, &source, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
}

static struct filter *make_filter(void)
{
	static const struct filter_ops ops = {.to_guest = to_side,
					      .to_peer = to_side,
					      .decide = decide,
					      .check = check,
					      .note = note,
					      .resolve = resolve,
					      .ask = ask,
					      .unask = unask};
	struct filter_config config = {.published = 0};
	struct filter *filter;

	net_set_macs(&config);
	if (filter_create(&filter, &config, &ops, NULL) < 0)
		exit(1);
	return filter;
}

static struct net_segment segment_of(unsigned flow)
{
	return (struct net_segment){.source = ADDRESS_GUEST,
				    .target = NET_PEER + flow % PEERS,
				    .source_port = (uint16_t)(1024 + flow / PEERS),
				    .target_port = 80,
				    .sequence = 1000,
				    .flags = TCP_SYN};
}

/* Opens flows, each with a reply. */
static uint64_t open_flows(struct filter *filter, unsigned flows)
{
	static uint8_t bytes[FRAME_MAX];
	struct net_segment segment, back;
	uint64_t now = SECOND;
	unsigned i;
	size_t length;

	for (i = 0; i < flows; i++, now += SPARE) {
		segment = segment_of(i);
		length = net_tcp(bytes, &segment);
		filter_from_guest(filter, bytes, length, false, now);
		back = (struct net_segment){.source = segment.target,
					    .target = segment.source,
					    .source_port = 80,
					    .target_port = segment.source_port,
					    .flags = TCP_SYN | TCP_ACK,
					    .sequence = 1,
					    .acknowledged = 1001};
		length = net_tcp(bytes, &back);
		net_turn(bytes);
		filter_from_peer(filter, bytes, length, now);
	}
	return now;
}

/* Sends one frame of each flow in turn; they are prepared, so that only the filter counts. */
static double measure(unsigned flows, unsigned rules, size_t payload, bool partial,
		      unsigned long frames)
{
	static uint8_t store[KEPT][FRAME_TRANSPORT + FRAME_TCP + 1500];
	static uint8_t data[1500];
	struct filter *filter;
	struct net_segment segment;
	size_t length = 0;
	unsigned kept = flows < KEPT ? flows : KEPT, i;
	struct filter_stats stats;
	unsigned long k;
	uint64_t now;
	double began, spent;

	make_policy(rules);
	filter = make_filter();
	now = open_flows(filter, flows);
	/* Spread over the table. */
	for (i = 0; i < kept; i++) {
		segment = segment_of((unsigned)((uint64_t)i * flows / kept));
		segment.flags = TCP_ACK;
		segment.sequence = 1001;
		segment.acknowledged = 2;
		segment.payload = data;
		segment.length = payload;
		length = net_tcp(store[i], &segment);
	}
	passed = 0;
	began = cpu_ns();
	for (k = 0; k < frames; k++) {
		uint8_t *frame = store[k % kept];

		/* Restore the frame as the card gave it: the filter has changed its addresses. */
		memcpy(frame, net_router_mac, FRAME_MAC);
		memcpy(frame + FRAME_MAC, net_guest_mac, FRAME_MAC);
		filter_from_guest(filter, frame, length, partial, now);
	}
	spent = cpu_ns() - began;
	filter_stats(filter, &stats);
	if (passed != frames || stats.flows != flows) {
		fprintf(stderr, "only %llu of %lu frames passed, %u flows\n",
			(unsigned long long)passed, frames, stats.flows);
		exit(1);
	}
	filter_destroy(filter);
	return spent / (double)frames;
}

/* A connection's first segment, which the last rule allows or no rule matches. */
static double measure_new(unsigned rules, bool allowed, unsigned flows)
{
	static uint8_t bytes[FRAME_MAX];
	struct filter *filter;
	struct net_segment segment;
	uint64_t now = SECOND;
	double spent = 0, began;
	size_t length;
	unsigned i;

	make_policy(rules);
	filter = make_filter();
	for (i = 0; i < flows; i++, now += SPARE) {
		segment = segment_of(i);
		segment.target_port = allowed ? 80 : 81;
		length = net_tcp(bytes, &segment);
		began = cpu_ns();
		filter_from_guest(filter, bytes, length, false, now);
		spent += cpu_ns() - began;
	}
	filter_destroy(filter);
	return spent / flows;
}

int main(int argc, char **argv)
{
	static const unsigned flows[] = {10, 1000, 10000}, rules[] = {1, 1000};
	unsigned long frames = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	size_t i;

	if (frames == 0)
		return 2;
	for (i = 0; i < ARRAY_SIZE(flows); i++) {
		/* Without payload; with a full one; and with one without its checksum. */
		printf("frame.empty.%u %.6g ns\n", flows[i],
		       measure(flows[i], MANY, 0, false, frames));
		printf("frame.full.%u %.6g ns\n", flows[i],
		       measure(flows[i], MANY, 1448, false, frames));
		printf("frame.partial.%u %.6g ns\n", flows[i],
		       measure(flows[i], MANY, 1448, true, frames));
	}
	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		printf("new.allowed.%u %.6g ns\n", rules[i], measure_new(rules[i], true, FLOWS));
		printf("new.refused.%u %.6g ns\n", rules[i], measure_new(rules[i], false, FLOWS));
	}
	policy_free(policy);
	return 0;
}
