/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint: what it sends (RFC 9293, 3.8 and 3.10). */
#include "vmm/base/bytes.h"
#include "vmm/relay/tcp_internal.h"

/*
 * How far the window's right edge can move now. It never goes back: it is the room of the buffer,
 * whose sum with rcv_nxt only grows. 0 unless the step is worth a segment (RFC 9293, 3.8.6.2.2).
 */
static uint32_t window_step(const struct tcp *tcp, unsigned scale)
{
	uint64_t limit = min_u64(tcp->receive_limit, (uint64_t)UINT16_MAX << scale);
	uint64_t room = min_u64(limit, tcp->receive_limit - tcp->received.used);
	uint32_t known = tcp->rcv_edge - tcp->rcv_nxt;

	if (room < known + min_u64(limit / 2, 2u * tcp->config->mss))
		return 0;
	return (uint32_t)(room - known);
}

/* The window field of the next segment. */
static uint16_t announce(struct tcp *tcp, bool syn)
{
	unsigned scale = syn ? 0 : tcp->rcv_scale;

	tcp->rcv_edge += window_step(tcp, scale);
	return (uint16_t)min_u64((tcp->rcv_edge - tcp->rcv_nxt) >> scale, UINT16_MAX);
}

/*
 * The sequence number of a segment without data: one that the guest's window has. What a scaled
 * window field cannot express does not count as beyond it: the guest has taken those bytes, and
 * would answer a lower number with an ACK of its own, without end if it does the same.
 */
static uint32_t bare_sequence(const struct tcp *tcp)
{
	uint32_t edge = tcp->snd_una + tcp->snd_wnd;

	if (tcp->opened && !tcp_before(tcp->snd_max, edge + (1u << tcp->snd_scale)))
		return edge;
	return tcp->snd_max;
}

static void output(struct tcp *tcp, struct tcp_segment *segment)
{
	if (segment->flags & TCP_ACK) {
		segment->acknowledged = tcp->rcv_nxt;
		tcp->ack_due = false;
	}
	tcp->config->output(tcp->arg, segment);
}

void tcp_send_syn(struct tcp *tcp)
{
	struct tcp_segment segment = {
		.sequence = tcp->iss,
		.flags = TCP_SYN,
		.mss = tcp->config->mss,
		.has_scale = tcp->scaled,
		.scale = tcp->rcv_scale,
	};

	if (tcp->state == TCP_STATE_SYN_RECEIVED) {
		segment.flags |= TCP_ACK;
		segment.window = announce(tcp, true);
	} else {
		segment.window = (uint16_t)min_u64(tcp->receive_limit, UINT16_MAX);
	}
	tcp->snd_nxt = tcp->iss + 1;
	tcp->snd_max = tcp->snd_nxt;
	output(tcp, &segment);
}

void tcp_send_ack(struct tcp *tcp)
{
	struct tcp_segment segment = {
		.sequence = bare_sequence(tcp), .flags = TCP_ACK, .window = announce(tcp, false)};

	output(tcp, &segment);
}

void tcp_send_reset(struct tcp *tcp)
{
	struct tcp_segment segment = {.sequence = bare_sequence(tcp), .flags = TCP_RST | TCP_ACK};

	/* The reply to a SYN has no sequence number of its own (RFC 9293, 3.10.7.1). */
	if (tcp->state == TCP_STATE_ASKED)
		segment.sequence = 0;
	output(tcp, &segment);
}

void tcp_stray(const struct tcp_config *config, void *arg, const struct tcp_segment *segment)
{
	struct tcp_segment reset = {.flags = TCP_RST};

	if (segment->flags & TCP_RST)
		return;
	if (segment->flags & TCP_ACK) {
		reset.sequence = segment->acknowledged;
	} else {
		reset.flags |= TCP_ACK;
		reset.acknowledged = segment->sequence + tcp_segment_span(segment);
	}
	config->output(arg, &reset);
}

/* How many of the available bytes go into one segment, if usable fit into the guest's window. */
static size_t segment_length(const struct tcp *tcp, size_t available, size_t usable)
{
	size_t most = max_u64(tcp->mss, min_u64(tcp->config->gso, TCP_LIMIT_GSO));
	size_t length = min_u64(min_u64(available, usable), most);

	if (length > tcp->mss && length < available)
		length -= length % tcp->mss;
	/*
	 * Small segments only at the end of what there is to send, or if the guest's window never
	 * had room for more (RFC 9293, 3.8.6.2.1).
	 */
	if (length < available && length < tcp->mss && length < tcp->max_wnd / 2)
		return 0;
	return length;
}

static void sent(struct tcp *tcp, const struct tcp_segment *segment, uint64_t now_ns)
{
	uint32_t end = segment->sequence + tcp_segment_span(segment);

	if (segment->flags & TCP_FIN && !tcp->fin_sent) {
		tcp->fin_sent = true;
		tcp->state = tcp->state == TCP_STATE_CLOSE_WAIT ? TCP_STATE_LAST_ACK
								: TCP_STATE_FIN_WAIT_1;
	}
	if (tcp_before(segment->sequence, tcp->snd_max)) {
		tcp->counts.retransmitted++;
		tcp->timing = false;
	} else if (!tcp->timing) {
		tcp->timing = true;
		tcp->timed_sequence = end;
		tcp->timed_ns = now_ns;
	}
	tcp->snd_nxt = end;
	if (tcp_before(tcp->snd_max, end))
		tcp->snd_max = end;
}

bool tcp_send_one(struct tcp *tcp, uint64_t now_ns, bool force)
{
	uint32_t offset = tcp->snd_nxt - tcp->snd_una;
	size_t used = tcp->send.used, available = used - min_u64(offset, used);
	size_t usable = tcp->snd_wnd > offset ? tcp->snd_wnd - offset : 0;
	bool fin = tcp->fin_due && offset <= used;
	size_t length;

	if (!tcp_sends(tcp) || (available == 0 && !fin))
		return false;
	length = segment_length(tcp, available, usable);
	if (length == 0 && available && force)
		length = min_u64(available, max_u64(1, min_u64(usable, tcp->mss)));
	fin = fin && length == available && (usable > length || force);
	if (length == 0 && !fin)
		return false;

	struct tcp_segment segment = {
		.sequence = tcp->snd_nxt,
		.flags = TCP_ACK,
		.window = announce(tcp, false),
		.length = length,
	};
	if (length)
		segment.data = relay_buffer_bytes(&tcp->send) + offset;
	if (length && length == available)
		segment.flags |= TCP_PSH;
	if (length > tcp->mss)
		segment.gso_size = tcp->mss;
	if (fin)
		segment.flags |= TCP_FIN;
	sent(tcp, &segment, now_ns);
	output(tcp, &segment);
	return true;
}

/* Whether the guest does not know of room that is worth a window update. */
static bool window_opened(const struct tcp *tcp)
{
	uint64_t limit = min_u64(tcp->receive_limit, (uint64_t)UINT16_MAX << tcp->rcv_scale);

	return tcp_receives(tcp) && tcp->rcv_edge - tcp->rcv_nxt < limit / 2 &&
	       window_step(tcp, tcp->rcv_scale) > 0;
}

void tcp_flush(struct tcp *tcp, uint64_t now_ns)
{
	if (!tcp->dirty && !tcp->ack_due)
		return;
	tcp->dirty = false;
	while (!(tcp->recovering && tcp->snd_nxt != tcp->snd_una) &&
	       tcp_send_one(tcp, now_ns, false))
		;
	if (tcp->state >= TCP_STATE_ESTABLISHED && tcp->state < TCP_STATE_CLOSED &&
	    (tcp->ack_due || window_opened(tcp)))
		tcp_send_ack(tcp);
	tcp_timer_arm(tcp, now_ns);
}
