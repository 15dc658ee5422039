/* SPDX-License-Identifier: Apache-2.0 */
/* Random hostile runs against a TCP endpoint of the relay. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/relay_tcp.h"
#include "vmm/base/bytes.h"

#define ISN	  0xfffff000u /* wraps in longer runs */
#define RECEIVE	  4096u
#define SEND	  8192u
#define NEAR	  6000 /* distances of sequence numbers that matter here */
#define WRITE_MAX (1u << 16)

struct run {
	const struct source *source;
	struct tcp_config config;
	struct relay_memory memory;
	struct wire *wire;
	struct model *model;
	struct tcp *tcp;
	uint64_t now_ns;
	uint32_t guest_isn;
	uint8_t noise; /* makes each segment's bytes differ */
	bool passive, synced;
	uint8_t written[WRITE_MAX];
	size_t written_length;
	uint8_t data[RECEIVE * 2];
	uint8_t passed[RECEIVE]; /* what the owner took at once from the last segment */
	size_t passed_length;
	const char *problem;
};

static struct run hostile; /* the one that runs */

static unsigned below(struct run *run, unsigned limit)
{
	return run->source->below(run->source->arg, limit);
}

static bool rarely(struct run *run, unsigned n)
{
	return below(run, 256) >= 256 - 256 / n;
}

static void require(struct run *run, bool promise, const char *what)
{
	if (!promise && !run->problem)
		run->problem = what;
}

/* A number around one: mostly exactly, or a little or far off. */
static uint32_t around(struct run *run, uint32_t number)
{
	if (!rarely(run, 3))
		return number;
	if (rarely(run, 8))
		return number + ((uint32_t)below(run, 256) << 24) + below(run, 256);
	return number + below(run, 256) * (NEAR / 128) + below(run, 4) - NEAR;
}

static void make_segment(struct run *run, struct tcp_segment *out)
{
	static const uint8_t flags[] = {TCP_ACK,	   TCP_ACK,	      TCP_ACK,
					TCP_ACK,	   TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN,
					TCP_SYN,	   TCP_SYN | TCP_ACK, TCP_RST,
					TCP_RST | TCP_ACK, TCP_FIN,	      0};
	uint32_t sent = ISN + 1 + (uint32_t)run->written_length;
	size_t i;

	*out = (struct tcp_segment){
		.flags = flags[rarely(run, 3) ? below(run, ARRAY_SIZE(flags)) : below(run, 6)],
		.sequence = around(run, run->model->next),
		.acknowledged = around(run, rarely(run, 2) ? sent : ISN + 1),
		.window = (uint16_t)(below(run, 256) * (rarely(run, 4) ? 256 : 8)),
		.data = run->data,
		.length = rarely(run, 2) ? below(run, 256) : 0,
	};
	if (rarely(run, 8))
		out->length = below(run, 256) * sizeof(run->data) / 256;
	if (rarely(run, 8))
		out->sequence = run->guest_isn + below(run, 3);
	if (rarely(run, 16))
		out->flags |= TCP_FIN;
	if (out->flags & TCP_SYN) {
		out->has_scale = below(run, 2);
		out->scale = (uint8_t)below(run, 256);
		out->mss = (uint16_t)(below(run, 256) * 16);
	}
	run->noise++;
	for (i = 0; i < out->length; i++)
		run->data[i] = (uint8_t)(run->noise * 7 + i);
}

/* What was sent must be the owner's bytes, at their place, in segments of a permitted size. */
static void check_sent(struct run *run)
{
	unsigned i;

	for (i = 0; i < run->wire->count; i++) {
		const struct tcp_segment *sent = &run->wire->sent[i];
		uint32_t offset = sent->sequence - (ISN + 1);

		require(run, sent->length <= max_u64(run->config.mss, run->config.gso),
			"sent a segment of more than MSS and GSO");
		require(run, !sent->length || sent->gso_size || sent->length <= run->config.mss,
			"sent more than the MSS without GSO");
		if (sent->length)
			require(run,
				range_within(offset, sent->length, run->written_length) &&
					memcmp(run->written + offset, sent->data, sent->length) ==
						0,
				"sent other bytes than were written");
	}
	require(run, !run->wire->overflowed, "sent too many segments at once");
	wire_clear(run->wire);
}

static void flush(struct run *run)
{
	tcp_flush(run->tcp, run->now_ns);
	require(run, tcp_deadline(run->tcp) != 0, "a flush left something due");
}

/* Applies what the last acknowledgement says to the model. */
static void check_acknowledged(struct run *run, const struct tcp_segment *in, uint32_t edge)
{
	const char *problem;

	if (!run->wire->seen || tcp_state(run->tcp) <= TCP_STATE_SYN_SENT)
		return;
	if (!run->synced) { /* the guest's SYN was taken: its numbers begin behind it */
		run->synced = true;
		if (!run->passive)
			run->model->next = in ? in->sequence + 1 : run->model->next;
		run->guest_isn = run->model->next - 1;
	}
	problem = model_acknowledged(run->model, in, run->wire->acknowledged, edge);
	require(run, !problem, problem);
}

/* tcp_config.pass: takes all, a part, or nothing. */
static size_t pass(void *arg, const uint8_t *bytes, size_t length)
{
	struct run *run = &hostile;
	size_t take = rarely(run, 4) ? below(run, 256) * length / 255 : length;

	(void)arg;
	require(run, length > 0 && length <= RECEIVE - run->passed_length,
		"passes nothing, or more than the window");
	if (run->problem)
		return 0;
	memcpy(run->passed + run->passed_length, bytes, take);
	run->passed_length += take;
	return take;
}

static void check_passed(struct run *run)
{
	const char *problem = model_read(run->model, run->passed, run->passed_length);

	require(run, !problem, problem);
	run->passed_length = 0;
}

static void guest_sends(struct run *run)
{
	struct tcp_segment segment;
	uint32_t edge = run->wire->edge, expected;
	size_t length;
	unsigned before = run->wire->total;

	make_segment(run, &segment);
	expected = model_expect(run->model, &segment, edge);
	if (tcp_input(run->tcp, &segment, run->now_ns))
		require(run,
			(segment.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
				tcp_state(run->tcp) >= TCP_STATE_TIME_WAIT,
			"a segment reopens a live connection");
	require(run, run->wire->total - before <= 2, "more than two replies to a segment");
	flush(run);
	if (run->synced && tcp_cause(run->tcp) != TCP_CAUSE_ENDED &&
	    tcp_state(run->tcp) != TCP_STATE_CLOSED)
		require(run, !tcp_before(expected, run->wire->acknowledged),
			"took more than the model");
	check_acknowledged(run, &segment, edge);
	check_passed(run);
	tcp_peek(run->tcp, &length);
	require(run, length <= RECEIVE, "the receive buffer has more than its limit");
	require(run, tcp_state(run->tcp) > TCP_STATE_SYN_RECEIVED || length == 0,
		"data before the handshake");
}

static void owner_reads(struct run *run)
{
	size_t length;
	const uint8_t *bytes = tcp_peek(run->tcp, &length);
	const char *problem;

	if (length && !rarely(run, 4))
		length = below(run, 256) * length / 255;
	problem = model_read(run->model, bytes, length);
	require(run, !problem, problem);
	tcp_consume(run->tcp, length);
}

static void owner_writes(struct run *run)
{
	size_t want = below(run, 256) * 16, i, took;

	want = min_u64(want, WRITE_MAX - run->written_length);
	for (i = 0; i < want; i++)
		run->written[run->written_length + i] = (uint8_t)(run->written_length + i * 3);
	took = tcp_write(run->tcp, run->written + run->written_length, want);
	require(run, took <= want, "took more than was written");
	run->written_length += took;
}

static void owner_acts(struct run *run)
{
	switch (below(run, 12)) {
	case 0:
		tcp_accept(run->tcp, run->now_ns);
		break;
	case 1:
		if (rarely(run, 64))
			tcp_refuse(run->tcp);
		break;
	case 2:
	case 3:
	case 4:
		owner_writes(run);
		break;
	case 5:
		if (rarely(run, 16))
			tcp_shutdown(run->tcp);
		break;
	case 6:
		if (rarely(run, 64))
			tcp_abort(run->tcp);
		break;
	case 7:
		run->now_ns += (uint64_t)below(run, 256) * 40000000;
		tcp_tick(run->tcp, run->now_ns);
		break;
	default:
		owner_reads(run);
		break;
	}
	flush(run);
	check_acknowledged(run, NULL, run->wire->edge);
}

static bool begin(struct run *run)
{
	struct tcp_segment syn = {.sequence = 0xfffffff0u + below(run, 32),
				  .flags = TCP_SYN,
				  .window = (uint16_t)(below(run, 256) * 256),
				  .mss = (uint16_t)(below(run, 256) * 8),
				  .has_scale = below(run, 2),
				  .scale = (uint8_t)below(run, 16)};

	run->config = (struct tcp_config){.output = wire_output,
					  .mss = 1460,
					  .gso = below(run, 2) ? TCP_LIMIT_GSO : 0,
					  .receive = RECEIVE,
					  .send = SEND,
					  .memory = &run->memory};
	if (below(run, 2))
		run->config.pass = pass;
	run->memory.max = rarely(run, 8) ? 8192 : 1u << 20;
	run->guest_isn = syn.sequence;
	run->model->next = syn.sequence + 1;
	run->passive = !rarely(run, 4);
	if (run->passive)
		return tcp_open_passive(&run->tcp, &run->config, run->wire, &syn, ISN) == 0;
	return tcp_open_active(&run->tcp, &run->config, run->wire, ISN, run->now_ns) == 0;
}

const char *relay_tcp_hostile(const struct source *source, unsigned steps)
{
	struct run *run = &hostile;
	static struct wire wire;
	static struct model model;
	unsigned i;

	memset(run, 0, sizeof(*run));
	memset(&wire, 0, offsetof(struct wire, bytes));
	wire.used = wire.overflowed = wire.total = wire.resets = 0;
	wire.seen = false;
	model.fin = false;
	model.length = model.read = 0;
	run->source = source;
	run->wire = &wire;
	run->model = &model;
	if (!begin(run))
		return "not opened";
	if (run->passive && !rarely(run, 4))
		tcp_accept(run->tcp, 0);
	for (i = 0; i < steps && !run->problem && !source->ended(source->arg); i++) {
		if (rarely(run, 3))
			owner_acts(run);
		else
			guest_sends(run);
		check_sent(run);
		require(run, run->memory.used <= run->memory.max, "more memory than the budget");
	}
	tcp_destroy(run->tcp);
	require(run, run->memory.used == 0, "memory is left");
	return run->problem;
}
