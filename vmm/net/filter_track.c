/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracks the sequence numbers of a connection, so that filter and backend agree on which connection
 * a segment belongs to.
 *
 * The backend keeps connections of its own, and may not accept a segment that the filter took for
 * an end or a beginning. If the filter then inspected the first bytes of a new connection, the
 * backend could take them for bytes of the old one that it has already, and the following bytes
 * would pass without inspection. Therefore:
 * - a connection begins when the SYN's number is acknowledged; before that the guest sends nothing;
 * - a FIN of the guest counts if nothing was sent after it; nothing passes after it, and the
 *   guest's direction ends when the peer has acknowledged exactly that;
 * - a reset counts within the window of its sender (RFC 5961, 3); others are dropped.
 */
#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

#define WINDOW (UINT32_C(1) << 30) /* the largest possible (RFC 7323, 2.3) */

static bool is_behind(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* The SYN was acknowledged: both directions begin. */
static void synchronise(struct flow *flow, const struct frame *frame, bool from_guest)
{
	struct flow_stream *own = from_guest ? &flow->guest : &flow->peer;
	struct flow_stream *other = from_guest ? &flow->peer : &flow->guest;

	*own = (struct flow_stream){.next = frame->sequence + 1, .acked = frame->sequence};
	*other = (struct flow_stream){.next = flow->sequence + 1, .acked = flow->sequence + 1};
	flow->synced = true;
}

static enum filter_segment track_opening(struct flow *flow, const struct frame *frame,
					 bool from_guest)
{
	bool called = flow->inbound == from_guest;
	bool right = (frame->tcp_flags & TCP_ACK) && frame->acknowledged == flow->sequence + 1;

	/*
	 * passt refuses without an acknowledgement; a reset that acknowledges something else
	 * belongs to another connection.
	 */
	if (frame->tcp_flags & TCP_RST)
		return called && (frame->tcp_flags & TCP_ACK) && !right ? SEGMENT_DROP
									: SEGMENT_RESET;
	if (frame->payload_length > 0 || (frame->tcp_flags & TCP_FIN))
		return SEGMENT_DROP;
	if (!called)
		return frame->tcp_flags & TCP_SYN ? SEGMENT_PASS : SEGMENT_DROP;
	if ((frame->tcp_flags & TCP_SYN) && right)
		synchronise(flow, frame, from_guest);
	/* Else it belongs to another connection on these ports: the caller resets that. */
	return SEGMENT_PASS;
}

/*
 * A SYN in an established connection: the reply to the first SYN again, since an acknowledgement
 * was lost.
 */
static bool is_answer_again(const struct flow *flow, const struct frame *frame, bool from_guest)
{
	return flow->inbound == from_guest && frame->payload_length == 0 &&
	       (frame->tcp_flags & TCP_ACK) && frame->acknowledged == flow->sequence + 1;
}

/*
 * Whether a reset has a number that its sender can have reached: after what was acknowledged, and
 * not after what it has sent (for passt also bytes that it sent and that were lost, which the
 * filter has not seen).
 */
static bool reset_counts(const struct flow_stream *own, const struct frame *frame, bool from_guest)
{
	uint32_t window = own->next - own->acked + (from_guest ? 0 : WINDOW);

	return frame->sequence - own->acked <= window;
}

/* Whether a segment of the guest is consistent with the end of its stream. */
static bool fits_end(const struct flow_stream *own, const struct frame *frame, uint32_t end)
{
	bool fin = frame->tcp_flags & TCP_FIN;

	if (!own->done)
		return !fin || !is_behind(own->next, end - 1);
	if (fin)
		return end == own->end;
	/* An empty segment may be after the FIN; a byte must not have the number of the FIN. */
	return !is_behind(end, frame->payload_length > 0 ? own->end - 1 : own->end);
}

static void acknowledge(struct flow_stream *other, const struct frame *frame)
{
	uint32_t fresh = frame->acknowledged - other->acked;

	if (!(frame->tcp_flags & TCP_ACK) || fresh > other->next - other->acked)
		return;
	other->acked = frame->acknowledged;
	other->closed |= other->done && other->acked == other->end;
}

enum filter_segment filter_track(struct flow *flow, const struct frame *frame, bool from_guest)
{
	struct flow_stream *own = from_guest ? &flow->guest : &flow->peer;
	struct flow_stream *other = from_guest ? &flow->peer : &flow->guest;
	bool fin = frame->tcp_flags & TCP_FIN;
	uint32_t end = frame->sequence + (uint32_t)frame->payload_length + fin;

	if (!flow->synced)
		return track_opening(flow, frame, from_guest);
	if (frame->tcp_flags & TCP_RST)
		return reset_counts(own, frame, from_guest) ? SEGMENT_RESET : SEGMENT_DROP;
	if (frame->tcp_flags & TCP_SYN)
		return is_answer_again(flow, frame, from_guest) ? SEGMENT_PASS : SEGMENT_DROP;
	if (frame->sequence - own->acked + WINDOW >= 2 * WINDOW ||
	    (from_guest && !fits_end(own, frame, end)))
		return SEGMENT_DROP;
	if (fin && !own->done && !is_behind(own->next, end - 1)) {
		own->done = true;
		own->end = end;
	}
	/*
	 * An empty segment does not show what was sent before it: that may be a FIN which comes
	 * later.
	 */
	if ((frame->payload_length > 0 || fin) && is_behind(end, own->next))
		own->next = end;
	acknowledge(other, frame);
	return SEGMENT_PASS;
}

bool filter_track_ended(const struct flow *flow)
{
	return flow->guest.closed && flow->peer.closed;
}

void filter_track_challenge(struct filter *filter, const struct flow *flow,
			    const struct frame *frame)
{
	uint32_t expected = flow->synced ? flow->guest.acked : flow->sequence + 1;
	struct frame like = *frame;

	/* A guest that has forgotten the connection resets it, and begins a new one. */
	filter_drop_guest(filter, FILTER_IN_USE);
	like.acknowledged = flow->synced ? flow->peer.next : 0;
	filter->ops->to_guest(filter->arg, filter->out,
			      reply_acknowledge(&like, expected, filter->out));
}

void filter_track_give_up(struct filter *filter, const struct flow *flow)
{
	struct frame last = {.source = ADDRESS_GUEST,
			     .target = flow->key.peer,
			     .source_port = flow->key.guest_port,
			     .target_port = flow->key.peer_port,
			     .sequence = flow->sequence + 1,
			     .tcp_flags = TCP_RST};

	if (filter_track_ended(flow))
		return;
	if (flow->synced || flow->inbound) {
		last.tcp_flags |= TCP_ACK;
		last.sequence = flow->synced ? flow->guest.acked : 0;
		last.acknowledged = flow->synced ? flow->peer.next : flow->sequence + 1;
	}
	filter_pass_to_peer(filter, filter->out, reply_reset_onwards(&last, filter->out));
}
