/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time-outs of equal length for thousands of owners: a queue in order of arrival is also in order
 * of expiry, so one loop timer serves all of them.
 */
#ifndef CORDON_VSOCK_DEADLINE_H
#define CORDON_VSOCK_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/vsock/list.h"
#include "vmm/base/loop.h"

struct vsock_deadline {
	struct list link;
	uint64_t at_ns;
};

struct vsock_deadlines {
	struct loop *loop;
	struct loop_timer timer;
	struct list queue;
	uint64_t delay_ns;
	void (*expired)(struct vsock_deadline *deadline);
};

void vsock_deadlines_init(struct vsock_deadlines *deadlines, struct loop *loop, uint64_t delay_ns,
			  void (*expired)(struct vsock_deadline *deadline));
void vsock_deadlines_stop(struct vsock_deadlines *deadlines);

void vsock_deadline_init(struct vsock_deadline *deadline);
bool vsock_deadline_armed(const struct vsock_deadline *deadline);

/* Starts or restarts a deadline; moves it if it is in another queue. */
void vsock_deadline_start(struct vsock_deadlines *deadlines, struct vsock_deadline *deadline);
void vsock_deadline_stop(struct vsock_deadline *deadline);

#endif
