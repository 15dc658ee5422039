/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock/deadline.h"

static void arm(struct vsock_deadlines *deadlines, uint64_t now)
{
	struct vsock_deadline *first;

	if (list_empty(&deadlines->queue))
		return;
	first = list_entry(deadlines->queue.next, struct vsock_deadline, link);
	loop_timer_start(deadlines->loop, &deadlines->timer,
			 first->at_ns > now ? first->at_ns - now : 0);
}

static void timer_expired(void *arg)
{
	struct vsock_deadlines *deadlines = arg;
	uint64_t now = loop_now_ns();
	struct vsock_deadline *first;

	while (!list_empty(&deadlines->queue)) {
		first = list_entry(deadlines->queue.next, struct vsock_deadline, link);
		if (first->at_ns > now)
			break;
		list_remove(&first->link);
		deadlines->expired(first);
	}
	arm(deadlines, now);
}

void vsock_deadlines_init(struct vsock_deadlines *deadlines, struct loop *loop, uint64_t delay_ns,
			  void (*expired)(struct vsock_deadline *deadline))
{
	deadlines->loop = loop;
	deadlines->timer = (struct loop_timer){.expired = timer_expired, .arg = deadlines};
	list_init(&deadlines->queue);
	deadlines->delay_ns = delay_ns;
	deadlines->expired = expired;
}

void vsock_deadlines_stop(struct vsock_deadlines *deadlines)
{
	loop_timer_stop(deadlines->loop, &deadlines->timer);
}

void vsock_deadline_init(struct vsock_deadline *deadline)
{
	list_init(&deadline->link);
}

bool vsock_deadline_armed(const struct vsock_deadline *deadline)
{
	return !list_empty(&deadline->link);
}

void vsock_deadline_start(struct vsock_deadlines *deadlines, struct vsock_deadline *deadline)
{
	uint64_t now = loop_now_ns();

	list_remove(&deadline->link);
	deadline->at_ns = now + deadlines->delay_ns;
	list_append(&deadlines->queue, &deadline->link);
	/* An armed timer expires no later than the first deadline, and is then rearmed. */
	if (!deadlines->timer.armed)
		arm(deadlines, now);
}

void vsock_deadline_stop(struct vsock_deadline *deadline)
{
	list_remove(&deadline->link);
}
