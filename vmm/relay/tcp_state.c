/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint: its life, and what the owner does with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/relay/tcp_internal.h"

static size_t limit_of(size_t wanted, size_t most)
{
	size_t limit = most;

	while (wanted && limit > wanted && limit > 1)
		limit >>= 1;
	return limit;
}

static struct tcp *create(const struct tcp_config *config, void *arg, uint32_t isn)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));

	if (!tcp)
		return NULL;
	tcp->config = config;
	tcp->arg = arg;
	tcp->receive_limit = limit_of(config->receive, TCP_LIMIT_RECEIVE);
	tcp->send_limit = limit_of(config->send, TCP_LIMIT_SEND);
	while (tcp->receive_limit >> tcp->rcv_scale > UINT16_MAX)
		tcp->rcv_scale++;
	tcp->iss = isn;
	tcp->snd_una = isn;
	tcp->snd_nxt = isn;
	tcp->snd_max = isn;
	tcp->rto_ns = TCP_LIMIT_RTO_FIRST_NS;
	tcp->timer_ns = TCP_NEVER;
	return tcp;
}

int tcp_open_passive(struct tcp **out, const struct tcp_config *config, void *arg,
		     const struct tcp_segment *syn, uint32_t isn)
{
	if ((syn->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return -EINVAL;
	*out = create(config, arg, isn);
	if (!*out)
		return -ENOMEM;
	(*out)->state = TCP_STATE_ASKED;
	tcp_take_syn(*out, syn);
	return 0;
}

int tcp_open_active(struct tcp **out, const struct tcp_config *config, void *arg, uint32_t isn,
		    uint64_t now_ns)
{
	struct tcp *tcp = create(config, arg, isn);

	if (!tcp)
		return -ENOMEM;
	*out = tcp;
	tcp->active = true;
	tcp->scaled = true; /* offered, until the guest's SYN says otherwise */
	tcp->state = TCP_STATE_SYN_SENT;
	tcp_send_syn(tcp);
	tcp_timer_arm(tcp, now_ns);
	return 0;
}

void tcp_destroy(struct tcp *tcp)
{
	if (!tcp)
		return;
	relay_buffer_clear(&tcp->received, tcp->config->memory);
	relay_buffer_clear(&tcp->send, tcp->config->memory);
	free(tcp);
}

void tcp_take_syn(struct tcp *tcp, const struct tcp_segment *syn)
{
	tcp->rcv_nxt = syn->sequence + 1;
	tcp->rcv_edge = tcp->rcv_nxt;
	tcp->scaled = syn->has_scale;
	if (syn->has_scale)
		tcp->snd_scale = (uint8_t)min_u64(syn->scale, TCP_LIMIT_SCALE);
	else
		tcp->rcv_scale = 0;
	/* Neither smaller than is sensible, nor larger than a packet of this link can be. */
	tcp->mss = (uint16_t)min_u64(syn->mss, tcp->config->mss);
	tcp->mss = (uint16_t)max_u64(tcp->mss, TCP_LIMIT_MSS_MIN);
	tcp->snd_wnd = syn->window; /* never scaled in a SYN */
	tcp->max_wnd = syn->window;
	tcp->snd_wl1 = syn->sequence;
	tcp->snd_wl2 = syn->acknowledged;
}

void tcp_accept(struct tcp *tcp, uint64_t now_ns)
{
	if (tcp->state != TCP_STATE_ASKED)
		return;
	tcp->state = TCP_STATE_SYN_RECEIVED;
	tcp_send_syn(tcp);
	tcp_timer_arm(tcp, now_ns);
}

void tcp_refuse(struct tcp *tcp)
{
	if (tcp->state == TCP_STATE_ASKED)
		tcp_abort(tcp);
}

void tcp_established(struct tcp *tcp)
{
	tcp->state = TCP_STATE_ESTABLISHED;
	tcp->opened = true;
	tcp->backoff = 0;
	tcp->unanswered = 0;
	tcp->timer_ns = TCP_NEVER;
	tcp->dirty = true;
}

void tcp_time_wait(struct tcp *tcp, uint64_t now_ns)
{
	tcp->state = TCP_STATE_TIME_WAIT;
	tcp->timer_ns = now_ns + TCP_LIMIT_TIME_WAIT_NS;
}

void tcp_close(struct tcp *tcp, enum tcp_cause cause)
{
	tcp->state = TCP_STATE_CLOSED;
	tcp->cause = cause;
	tcp->timer_ns = TCP_NEVER;
	tcp->dirty = false;
	tcp->ack_due = false;
	relay_buffer_clear(&tcp->send, tcp->config->memory);
	if (cause != TCP_CAUSE_ENDED)
		relay_buffer_clear(&tcp->received, tcp->config->memory);
}

void tcp_abort(struct tcp *tcp)
{
	/* In TIME-WAIT the guest has nothing left to be told; a SYN without a reply has no peer. */
	if (tcp->state != TCP_STATE_SYN_SENT && tcp->state < TCP_STATE_TIME_WAIT)
		tcp_send_reset(tcp);
	if (tcp->state != TCP_STATE_CLOSED || tcp->cause == TCP_CAUSE_ENDED)
		tcp_close(tcp, TCP_CAUSE_ABORTED);
}

const uint8_t *tcp_peek(const struct tcp *tcp, size_t *length)
{
	*length = tcp->received.used;
	return relay_buffer_bytes(&tcp->received);
}

void tcp_consume(struct tcp *tcp, size_t length)
{
	relay_buffer_consume(&tcp->received, tcp->config->memory, length);
	if (tcp_receives(tcp))
		tcp->dirty = true;
}

uint8_t *tcp_reserve(struct tcp *tcp, size_t want, size_t *room)
{
	*room = 0;
	if (tcp->fin_due || tcp->state >= TCP_STATE_TIME_WAIT)
		return NULL;
	return relay_buffer_reserve(&tcp->send, tcp->config->memory, tcp->send_limit, want, room);
}

void tcp_commit(struct tcp *tcp, size_t length)
{
	if (tcp->fin_due || tcp->state >= TCP_STATE_TIME_WAIT)
		return;
	relay_buffer_commit(&tcp->send, tcp->config->memory, length);
	if (tcp_sends(tcp) && length)
		tcp->dirty = true;
}

size_t tcp_write(struct tcp *tcp, const void *bytes, size_t length)
{
	size_t room;
	uint8_t *to = tcp_reserve(tcp, length, &room);

	if (!to)
		return 0;
	memcpy(to, bytes, room);
	tcp_commit(tcp, room);
	return room;
}

void tcp_shutdown(struct tcp *tcp)
{
	if (tcp->fin_due || tcp->state >= TCP_STATE_TIME_WAIT)
		return;
	tcp->fin_due = true;
	tcp->dirty |= tcp_sends(tcp);
}

unsigned tcp_look(const struct tcp *tcp)
{
	bool sent = tcp->state == TCP_STATE_FIN_WAIT_2 || tcp->state == TCP_STATE_TIME_WAIT ||
		    tcp->cause == TCP_CAUSE_ENDED;
	unsigned look = 0;

	if (tcp->opened)
		look |= TCP_LOOK_OPEN;
	if (tcp->received.used)
		look |= TCP_LOOK_READABLE;
	if (tcp->fin_got && !tcp->received.used && tcp->cause <= TCP_CAUSE_ENDED)
		look |= TCP_LOOK_ENDED;
	if (!tcp->fin_due && tcp->state < TCP_STATE_TIME_WAIT && tcp->send.used < tcp->send_limit)
		look |= TCP_LOOK_WRITABLE;
	if (sent)
		look |= TCP_LOOK_SENT;
	if (tcp->state == TCP_STATE_CLOSED)
		look |= TCP_LOOK_CLOSED;
	return look;
}

enum tcp_state tcp_state(const struct tcp *tcp)
{
	return tcp->state;
}

enum tcp_cause tcp_cause(const struct tcp *tcp)
{
	return tcp->cause;
}

void tcp_counts(const struct tcp *tcp, struct tcp_counts *out)
{
	*out = tcp->counts;
}
