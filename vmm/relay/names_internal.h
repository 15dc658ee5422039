/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files of the guest's resolver, and to its tests. */
#ifndef CORDON_RELAY_NAMES_INTERNAL_H
#define CORDON_RELAY_NAMES_INTERNAL_H

#include "vmm/base/bucket.h"
#include "vmm/net/resolver.h"
#include "vmm/relay/names.h"
#include "vmm/relay/relay.h"

#define NAMES_HAS6_NS UINT64_C(10000000000) /* for so long names_host_has6() is believed */

/* A query that waits: for the monitor's verdict, then for a resolver. */
struct names_slot {
	struct names *names;
	struct names_query *query; /* NULL: free */
	struct relay_wait wait;
	uint32_t ticket; /* of the resolver; 0: does not wait for it */
	struct dns_question question;
};

/* A datagram of the guest whose query waits: where the response goes. */
struct names_exchange {
	struct names *names;
	bool used;
	struct names_query query;
	struct ip_address guest, router;
	uint16_t port; /* of the guest */
};

struct names {
	struct relay *relay;
	struct resolver *resolver;
	struct dns_pins pins;
	struct bucket rate;
	uint32_t last_ticket;
	bool has6;
	uint64_t has6_until_ns;
	struct names_slot slot[NAMES_WAITING];
	/* Each that waits has a slot, so one is always free for the next datagram. */
	struct names_exchange exchange[NAMES_WAITING + 1];
};

#endif
