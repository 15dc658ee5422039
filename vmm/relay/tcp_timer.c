/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint: retransmission, window probes, TIME-WAIT (RFC 6298; RFC 9293, 3.8.6.1). */
#include "vmm/base/bytes.h"
#include "vmm/relay/tcp_internal.h"

#define GRANULARITY_NS UINT64_C(1000000)

void tcp_timer_measure(struct tcp *tcp, uint32_t acknowledged, uint64_t now_ns)
{
	uint64_t rtt, difference;

	if (!tcp->timing || tcp_before(acknowledged, tcp->timed_sequence))
		return;
	tcp->timing = false;
	rtt = min_u64(now_ns - tcp->timed_ns, TCP_LIMIT_RTO_MAX_NS);
	if (!tcp->srtt_ns) {
		tcp->srtt_ns = max_u64(rtt, 1);
		tcp->rttvar_ns = rtt / 2;
	} else {
		difference = rtt > tcp->srtt_ns ? rtt - tcp->srtt_ns : tcp->srtt_ns - rtt;
		tcp->rttvar_ns = (3 * tcp->rttvar_ns + difference) / 4;
		tcp->srtt_ns = max_u64((7 * tcp->srtt_ns + rtt) / 8, 1);
	}
	tcp->rto_ns = tcp->srtt_ns + max_u64(GRANULARITY_NS, 4 * tcp->rttvar_ns);
	tcp->rto_ns = max_u64(TCP_LIMIT_RTO_MIN_NS, min_u64(tcp->rto_ns, TCP_LIMIT_RTO_MAX_NS));
}

/* Whether the guest has to acknowledge something, or to open its window. */
static bool waits(const struct tcp *tcp)
{
	if (tcp->state == TCP_STATE_SYN_SENT || tcp->state == TCP_STATE_SYN_RECEIVED)
		return true;
	if (!tcp_sends(tcp))
		return false;
	return tcp->snd_max != tcp->snd_una || tcp->send.used || (tcp->fin_due && !tcp->fin_sent);
}

void tcp_timer_arm(struct tcp *tcp, uint64_t now_ns)
{
	if (tcp->state >= TCP_STATE_TIME_WAIT)
		return;
	if (!waits(tcp))
		tcp->timer_ns = TCP_NEVER;
	else if (tcp->timer_ns == TCP_NEVER)
		tcp->timer_ns = now_ns + min_u64(tcp->rto_ns << min_u64(tcp->backoff, 8),
						 TCP_LIMIT_RTO_MAX_NS);
}

void tcp_rewind(struct tcp *tcp)
{
	tcp->recovering = tcp->snd_max != tcp->snd_una;
	tcp->recover = tcp->snd_max;
	tcp->snd_nxt = tcp->snd_una;
	tcp->timing = false;
	tcp->duplicates = 0;
	tcp->dirty = true;
}

static void give_up(struct tcp *tcp)
{
	if (tcp->state != TCP_STATE_SYN_SENT)
		tcp_send_reset(tcp);
	tcp_close(tcp, TCP_CAUSE_TIMEOUT);
}

static void expired(struct tcp *tcp, uint64_t now_ns)
{
	bool handshake = tcp->state < TCP_STATE_ESTABLISHED;

	if (tcp->state == TCP_STATE_TIME_WAIT) {
		tcp_close(tcp, TCP_CAUSE_ENDED);
		return;
	}
	tcp->timer_ns = TCP_NEVER;
	if (tcp->unanswered >= (handshake ? TCP_LIMIT_SYN_RETRIES : TCP_LIMIT_RETRIES)) {
		give_up(tcp);
		return;
	}
	tcp->unanswered++;
	tcp->backoff++;
	if (handshake) {
		tcp->counts.retransmitted++;
		tcp_send_syn(tcp);
	} else {
		tcp_rewind(tcp);
		tcp_send_one(tcp, now_ns, true);
		/* A byte beyond the window is a probe: what follows begins with it again. */
		if (tcp->snd_nxt - tcp->snd_una > tcp->snd_wnd)
			tcp->snd_nxt = tcp->snd_una;
	}
	tcp_timer_arm(tcp, now_ns);
}

void tcp_tick(struct tcp *tcp, uint64_t now_ns)
{
	if (tcp->timer_ns != TCP_NEVER && now_ns >= tcp->timer_ns)
		expired(tcp, now_ns);
	tcp_flush(tcp, now_ns);
}

uint64_t tcp_deadline(const struct tcp *tcp)
{
	return tcp->dirty || tcp->ack_due ? 0 : tcp->timer_ns;
}
