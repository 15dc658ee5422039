/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/net/tap.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/net/measures.h"

#define TURN 64

static struct {
	struct loop *loop;
	const struct card *card;
	struct loop_source source;
} tap;

static void tap_frame(const uint8_t *header, const uint8_t *frame, size_t length)
{
	/* writev() takes no pointers to const, but does not write to the bytes. */
	struct iovec part[2] = {{(void *)(uintptr_t)header, CARD_HEADER},
				{(void *)(uintptr_t)frame, length}};
	unsigned first = tap.card->offload ? 0 : 1;

	/* A full queue drops the frame, as any network does. */
	if (writev(tap.source.fd, part + first, (int)(2 - first)) < 0 && errno != EAGAIN &&
	    errno != ENOBUFS)
		fail("the tap device");
}

static void tap_drained(void)
{
	loop_modify(tap.loop, &tap.source, EPOLLIN);
}

const struct card_user tap_user = {.frame = tap_frame, .drained = tap_drained};

static void take_turn(void)
{
	static uint8_t bytes[CARD_HEADER + CARD_FRAME + 64];
	size_t skip = tap.card->offload ? 0 : CARD_HEADER;
	unsigned turn;
	ssize_t got;

	for (turn = 0; turn < TURN; turn++) {
		if (!tap.card->room()) {
			loop_modify(tap.loop, &tap.source, 0);
			return;
		}
		got = read(tap.source.fd, bytes + skip, sizeof(bytes) - skip);
		if (got <= 0)
			return;
		tap.card->send(bytes, bytes + CARD_HEADER, skip + (size_t)got - CARD_HEADER);
	}
}

static void tap_ready(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
	if (tap.card->turn)
		tap.card->turn(true);
	take_turn();
	if (tap.card->turn)
		tap.card->turn(false);
}

void tap_create(struct loop *loop, const struct card *card, int tap_fd)
{
	tap.loop = loop;
	tap.card = card;
	tap.source = (struct loop_source){.fd = tap_fd, .ready = tap_ready};
	if (loop_add(loop, &tap.source, EPOLLIN) < 0)
		fail("the loop");
}
