/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/waits.h"

void waits_init(struct waits *waits)
{
	unsigned i;

	*waits = (struct waits){.spare = RELAY_CHECKS};
	for (i = 0; i < RELAY_CHECKS; i++) {
		waits->unused[i] = (uint16_t)i;
		waits->ticket[i] = i;
	}
}

uint32_t waits_add(struct waits *waits, struct relay_wait *wait)
{
	unsigned place;

	if (waits->spare == 0)
		return 0;
	place = waits->unused[--waits->spare];
	waits->ticket[place] += RELAY_CHECKS;
	/* 0 means that nothing waits. */
	if (waits->ticket[place] == 0)
		waits->ticket[place] += RELAY_CHECKS;
	waits->wait[place] = wait;
	return waits->ticket[place];
}

struct relay_wait *waits_take(struct waits *waits, uint32_t ticket)
{
	unsigned place = ticket % RELAY_CHECKS;
	struct relay_wait *wait = waits->wait[place];

	if (!wait || waits->ticket[place] != ticket)
		return NULL;
	waits->wait[place] = NULL;
	waits->unused[waits->spare++] = (uint16_t)place;
	return wait;
}
