/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's resolver. Only names that a rule could permit are queried outside; all others do not
 * exist. Replies contain addresses (A) only: IPv6 is refused altogether, and other records are a
 * way out for data that no workload needs; a permitted name appears to have none of them.
 */
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/net/filter_internal.h"

#define HOST_NAME "host"
#define HOST_TTL  60u

static void answer(struct filter *filter, const struct filter_dns *dns, enum dns_rcode rcode,
		   const struct dns_addresses *addresses)
{
	uint8_t message[DNS_EDNS_MAX];
	size_t length = dns_write_response(&dns->question, rcode, addresses, message);

	message[2] &= 0xfd; /* TC: DNS over TCP is refused, so the guest must not try it */
	filter->stats.answered++;
	filter->ops->to_guest(filter->arg, filter->out,
			      reply_udp(&dns->from, message, length, filter->out));
}

static void answer_host(struct filter *filter, const struct filter_dns *dns)
{
	struct dns_addresses host = {.type = DNS_TYPE_A, .count = 1, .ttl = HOST_TTL};

	store_be32(host.address[0], ADDRESS_HOST);
	answer(filter, dns, DNS_NO_ERROR, dns->question.type == DNS_TYPE_A ? &host : NULL);
}

/* Stores the query, and sends it to a resolver. */
static void ask_upstream(struct filter *filter, const struct filter_dns *dns)
{
	struct filter_dns *slot = NULL;
	unsigned i;

	for (i = 0; i < FILTER_DNS_WAITING && !slot; i++)
		if (filter->dns[i].ticket == 0)
			slot = &filter->dns[i];
	if (!slot) {
		filter_drop_guest(filter, FILTER_FLOODED);
		answer(filter, dns, DNS_SERVER_FAILURE, NULL);
		return;
	}
	*slot = *dns;
	slot->from.data = NULL;
	/* Never 0, and never the ticket of a reply that may still arrive. */
	if (++filter->last_ticket == 0)
		filter->last_ticket = 1;
	slot->ticket = filter->last_ticket;
	if (filter->ops->resolve(filter->arg, slot->ticket, slot->question.name) < 0) {
		slot->ticket = 0;
		answer(filter, dns, DNS_SERVER_FAILURE, NULL);
	}
}

void filter_dns_question(struct filter *filter, const struct frame *frame, uint64_t now_ns)
{
	struct filter_dns dns = {.from = *frame};
	struct filter_request request = {
		.op = FILTER_RESOLVE, .protocol = FILTER_DNS, .name = dns.question.name};
	int ret =
		dns_parse_query(frame->data + frame->payload, frame->payload_length, &dns.question);

	if (ret < 0) {
		filter_drop_guest(filter, FRAME_BAD_UDP);
		return;
	}
	filter->stats.questions++;
	if (ret > 0) {
		answer(filter, &dns, (enum dns_rcode)ret, NULL);
		return;
	}
	if (!bucket_try(&filter->dns_rate, now_ns)) {
		filter_drop_guest(filter, FILTER_FLOODED);
		answer(filter, &dns, DNS_REFUSED, NULL);
		return;
	}
	request.host = strcmp(dns.question.name, HOST_NAME) == 0;
	if (dns.question.name[0] == '\0' ||
	    filter_decide_one(filter, &request).verdict == FILTER_DENY) {
		filter_drop_guest(filter, FILTER_REFUSED);
		filter_log_refused(filter, &request, NULL, now_ns);
		answer(filter, &dns, DNS_NO_NAME, NULL);
		return;
	}
	if (!filter->ops->check(filter->arg, &request)) {
		answer(filter, &dns, DNS_REFUSED, NULL);
		return;
	}
	if (request.host)
		answer_host(filter, &dns);
	else if (dns.question.type == DNS_TYPE_A)
		ask_upstream(filter, &dns);
	else
		answer(filter, &dns, DNS_NO_ERROR, NULL);
}

static void log_answer(struct filter *filter, const struct filter_dns *dns, int rcode,
		       const struct dns_addresses *addresses, unsigned stripped)
{
	char detail[DNS_ADDRESSES * (ADDRESS_TEXT + 1) + 64], text[ADDRESS_TEXT];
	int at = snprintf(detail, sizeof(detail), "rcode=%d stripped=%u addresses=", rcode,
			  stripped);
	unsigned i;

	for (i = 0; i < addresses->count; i++)
		at += snprintf(detail + at, sizeof(detail) - (size_t)at, "%s%s", i > 0 ? "," : "",
			       address_text(load_be32(addresses->address[i]), text));
	filter->ops->note(filter->arg, "dns-answer", dns->question.name, detail);
}

void filter_resolved(struct filter *filter, uint32_t ticket, int rcode,
		     const struct dns_addresses *addresses, uint64_t now_ns)
{
	struct dns_addresses public = {.type = DNS_TYPE_A};
	uint8_t address[PIN_ADDRESS];
	struct filter_dns *dns = NULL;
	unsigned i, stripped = 0;

	for (i = 0; i < FILTER_DNS_WAITING && ticket != 0 && !dns; i++)
		if (filter->dns[i].ticket == ticket)
			dns = &filter->dns[i];
	if (!dns)
		return;
	dns->ticket = 0;
	if (rcode == DNS_NO_ERROR && addresses) {
		public.ttl = (uint32_t)min_u64(addresses->ttl, PIN_TTL_MAX);
		for (i = 0; i < addresses->count && i < DNS_ADDRESSES; i++) {
			dns_pins_ipv4(load_be32(addresses->address[i]), address);
			/*
			 * A name never leads to these addresses: an attacker's name could point to
			 * any of them.
			 */
			if (address_special(load_be32(addresses->address[i])))
				stripped++;
			else if (dns_pins_add(&filter->pins, dns->question.name, address,
					      public.ttl, now_ns) == 0)
				memcpy(public.address[public.count++], addresses->address[i],
				       DNS_ADDRESS);
		}
	}
	log_answer(filter, dns, rcode, &public, stripped);
	/* Another server's refusal or format error means nothing to the guest. */
	if (rcode != DNS_NO_ERROR && rcode != DNS_NO_NAME)
		rcode = DNS_SERVER_FAILURE;
	answer(filter, dns, (enum dns_rcode)rcode, &public);
}
