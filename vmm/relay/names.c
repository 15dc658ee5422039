/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/special.h"
#include "vmm/relay/names_internal.h"

#define HOST_NAME "host"
#define HOST_TTL  60u

/* The 16 bytes under which an address is pinned. */
static void pin_key(const struct ip_address *address, uint8_t to[PIN_ADDRESS])
{
	if (address->family == AF_INET)
		dns_pins_ipv4(load_be32(address->bytes), to);
	else
		memcpy(to, address->bytes, PIN_ADDRESS);
}

/* --- responses -------------------------------------------------------------------------------- */

static void respond(struct names *names, struct names_query *query,
		    const struct dns_question *question, enum dns_rcode rcode,
		    const struct dns_addresses *addresses)
{
	uint8_t message[DNS_EDNS_MAX];
	size_t length = dns_write_response(question, rcode, addresses, message);

	names->relay->stats.answered++;
	query->done(query->arg, message, length);
}

static void release(struct names_slot *slot)
{
	decide_cancel(slot->names->relay, &slot->wait);
	if (slot->ticket)
		resolver_cancel(slot->names->resolver, slot->ticket);
	slot->ticket = 0;
	slot->query->slot = NULL;
	slot->query = NULL;
}

/* Responds to a query that waits. */
static void finish(struct names_slot *slot, enum dns_rcode rcode,
		   const struct dns_addresses *addresses)
{
	/* The slot may be taken for another query while the owner handles the response. */
	const struct dns_question question = slot->question;
	struct names_query *query = slot->query;

	release(slot);
	respond(slot->names, query, &question, rcode, addresses);
}

static bool is_host(const struct dns_question *question)
{
	return strcmp(question->name, HOST_NAME) == 0;
}

static void finish_host(struct names_slot *slot)
{
	const struct ip_address own = ip_own(AF_INET, IP_OWN_HOST);
	struct dns_addresses host = {.type = DNS_TYPE_A, .count = 1, .ttl = HOST_TTL};

	memcpy(host.address[0], own.bytes, DNS_ADDRESS);
	finish(slot, DNS_NO_ERROR, slot->question.type == DNS_TYPE_A ? &host : NULL);
}

/* --- from the resolvers ----------------------------------------------------------------------- */

/* Logs what a name has; in several lines if one does not hold all addresses. */
static void log_answer(struct relay *relay, const struct dns_question *question, int rcode,
		       const struct dns_addresses *addresses, unsigned stripped)
{
	struct ip_address address = {.family = addresses->type == DNS_TYPE_A ? AF_INET : AF_INET6};
	char detail[RELAY_NOTE_TEXT], text[IP_TEXT];
	unsigned i = 0, first;
	int at;

	do {
		at = snprintf(detail, sizeof(detail), "rcode=%d stripped=%u addresses=", rcode,
			      stripped);
		for (first = i; i < addresses->count; i++) {
			if ((size_t)at + 1 + IP_TEXT > sizeof(detail))
				break;
			memcpy(address.bytes, addresses->address[i], DNS_ADDRESS);
			at += snprintf(detail + at, sizeof(detail) - (size_t)at, "%s%s",
				       i > first ? "," : "", ip_text(&address, text));
		}
		decide_note(relay, "dns-answer", question->name, detail);
	} while (i < addresses->count);
}

/*
 * An attacker's name could point to any special address, so no name leads there; but for those that
 * `net allow any` opens to the guest in any case. It opens neither the host's loopback, nor what
 * stands for it on the sandbox's own network.
 */
static bool may_lead_to(const struct relay *relay, const struct ip_address *address)
{
	const struct special_range *range = special_range(address->family, address->bytes);

	return !range || (!range->stays && !ip_is_own(address) && relay->policy &&
			  policy_has_any(relay->policy));
}

/* Takes the addresses that a name may lead to, and pins them. Returns how many it removes. */
static unsigned take_addresses(struct names *names, const struct dns_question *question,
			       const struct dns_addresses *from, struct dns_addresses *to)
{
	struct ip_address address = {.family = from->type == DNS_TYPE_A ? AF_INET : AF_INET6};
	uint64_t now_ns = relay_now(names->relay);
	uint8_t key[PIN_ADDRESS];
	unsigned i, stripped = 0;

	to->ttl = (uint32_t)min_u64(from->ttl, PIN_TTL_MAX);
	for (i = 0; i < from->count && i < DNS_ADDRESSES; i++) {
		memcpy(address.bytes, from->address[i], DNS_ADDRESS);
		if (!may_lead_to(names->relay, &address)) {
			stripped++;
			continue;
		}
		pin_key(&address, key);
		if (dns_pins_add(&names->pins, question->name, key, to->ttl, now_ns) == 0)
			memcpy(to->address[to->count++], address.bytes, DNS_ADDRESS);
	}
	names->relay->stats.pins = names->pins.count;
	return stripped;
}

static void on_resolved(void *arg, uint32_t ticket, int rcode,
			const struct dns_addresses *addresses)
{
	struct names *names = arg;
	struct names_slot *slot = NULL;
	struct dns_addresses public;
	unsigned i, stripped = 0;

	for (i = 0; i < NAMES_WAITING && ticket != 0 && !slot; i++)
		if (names->slot[i].ticket == ticket)
			slot = &names->slot[i];
	if (!slot)
		return;
	slot->ticket = 0;
	public = (struct dns_addresses){.type = slot->question.type};
	if (rcode == DNS_NO_ERROR && addresses && addresses->type == public.type)
		stripped = take_addresses(names, &slot->question, addresses, &public);
	log_answer(names->relay, &slot->question, rcode, &public, stripped);
	/* Another server's refusal or format error means nothing to the guest. */
	if (rcode != DNS_NO_ERROR && rcode != DNS_NO_NAME)
		rcode = DNS_SERVER_FAILURE;
	finish(slot, (enum dns_rcode)rcode, &public);
}

/* --- from the guest --------------------------------------------------------------------------- */

static bool host_has6(struct names *names)
{
	uint64_t now_ns = relay_now(names->relay);

	if (now_ns >= names->has6_until_ns) {
		names->has6 = names_host_has6();
		names->has6_until_ns = now_ns + NAMES_HAS6_NS;
	}
	return names->has6;
}

static void resolve(struct names_slot *slot)
{
	struct names *names = slot->names;

	/* Never 0. A late response of another query is impossible: that one was cancelled. */
	if (++names->last_ticket == 0)
		names->last_ticket = 1;
	if (resolver_query(names->resolver, names->last_ticket, slot->question.name,
			   slot->question.type) < 0)
		finish(slot, DNS_SERVER_FAILURE, NULL);
	else
		slot->ticket = names->last_ticket;
}

/* The monitor's verdict; an approval is of no concern here: resolving a name needs none. */
static void on_verdict(void *arg, bool allowed, bool approved)
{
	struct names_slot *slot = arg;
	uint16_t type = slot->question.type;

	(void)approved;
	if (!allowed)
		finish(slot, DNS_REFUSED, NULL);
	else if (is_host(&slot->question))
		finish_host(slot);
	else if (type == DNS_TYPE_A || (type == DNS_TYPE_AAAA && host_has6(slot->names)))
		resolve(slot);
	else
		finish(slot, DNS_NO_ERROR, NULL);
}

static struct relay_request request_of(const struct dns_question *question)
{
	return (struct relay_request){.op = POLICY_RESOLVE,
				      .protocol = POLICY_DNS,
				      .name = question->name,
				      .host = is_host(question)};
}

/* What can be said at once: DNS_NO_ERROR if the monitor is to decide. */
static enum dns_rcode judge(struct names *names, const struct dns_question *question)
{
	struct relay_request request = request_of(question);
	struct relay *relay = names->relay;

	if (!bucket_try(&names->rate, relay_now(relay))) {
		relay->stats.flooded++;
		return DNS_REFUSED;
	}
	if (question->name[0] == '\0') {
		request.name = NULL;
		decide_refused(relay, &request, "not a valid host name");
		return DNS_NO_NAME;
	}
	if (decide_one(relay, &request).verdict == POLICY_DENY) {
		decide_refused(relay, &request, NULL);
		return DNS_NO_NAME;
	}
	return DNS_NO_ERROR;
}

/* Makes a query wait for the monitor's verdict. False: too many wait. */
static bool wait_for_verdict(struct names *names, struct names_query *query,
			     const struct dns_question *question)
{
	const struct relay_request request = request_of(question);
	struct names_slot *slot = NULL;
	unsigned i;

	for (i = 0; i < NAMES_WAITING && !slot; i++)
		if (!names->slot[i].query)
			slot = &names->slot[i];
	if (!slot)
		return false;
	slot->wait = (struct relay_wait){.done = on_verdict, .arg = slot};
	if (decide_check(names->relay, &slot->wait, &request) < 0)
		return false;
	slot->question = *question;
	slot->query = query;
	query->slot = slot;
	return true;
}

int names_ask(struct names *names, struct names_query *query, const uint8_t *message, size_t length,
	      bool stream)
{
	struct dns_question question;
	int ret = dns_parse_query(message, length, &question);

	if (ret < 0)
		return ret;
	names->relay->stats.questions++;
	if (stream)
		question.room = UINT16_MAX;
	if (ret == 0)
		ret = (int)judge(names, &question);
	if (ret == 0) {
		if (wait_for_verdict(names, query, &question))
			return 0;
		names->relay->stats.flooded++;
		ret = DNS_SERVER_FAILURE;
	}
	respond(names, query, &question, (enum dns_rcode)ret, NULL);
	return 0;
}

void names_cancel(struct names *names, struct names_query *query)
{
	(void)names;
	if (query->slot)
		release(query->slot);
}

/* --- pins ------------------------------------------------------------------------------------- */

unsigned names_of(struct names *names, const struct ip_address *address, uint64_t now_ns,
		  const char *name[PIN_NAMES_MAX])
{
	uint8_t key[PIN_ADDRESS];

	pin_key(address, key);
	return dns_pins_names(&names->pins, key, now_ns, name);
}

bool names_have(struct names *names, const char *name, const struct ip_address *address,
		uint64_t now_ns)
{
	uint8_t key[PIN_ADDRESS];

	pin_key(address, key);
	return dns_pins_have(&names->pins, name, key, now_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

int names_create(struct names **out, struct relay *relay)
{
	struct names *names = calloc(1, sizeof(*names));
	unsigned i;
	int ret;

	*out = NULL;
	if (!names)
		return -ENOMEM;
	names->relay = relay;
	for (i = 0; i < NAMES_WAITING; i++)
		names->slot[i].names = names;
	bucket_init_burst(&names->rate, NAMES_SECOND, NAMES_BURST, relay_now(relay));
	ret = dns_pins_init(&names->pins);
	if (ret == 0)
		ret = resolver_create(&names->resolver, relay->loop, on_resolved, names);
	if (ret < 0) {
		names_destroy(names);
		return ret;
	}
	*out = names;
	return 0;
}

void names_set_resolvers(struct names *names, const struct resolver_servers *servers)
{
	resolver_set_servers(names->resolver, servers);
}

void names_forget(struct names *names)
{
	unsigned i;

	for (i = 0; i < NAMES_WAITING; i++)
		if (names->slot[i].query)
			release(&names->slot[i]);
	for (i = 0; i < ARRAY_SIZE(names->exchange); i++)
		names->exchange[i].used = false;
	if (names->pins.pin && names->pins.bucket)
		dns_pins_clear(&names->pins);
	names->relay->stats.pins = 0;
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	names_forget(names);
	resolver_destroy(names->resolver);
	dns_pins_destroy(&names->pins);
	free(names);
}
