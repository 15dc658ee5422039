/* SPDX-License-Identifier: Apache-2.0 */
/* For the filter's tests: a scripted guest, a scripted peer, and a policy of a few rules. */
#ifndef CORDON_TEST_NET_FILTER_HOST_H
#define CORDON_TEST_NET_FILTER_HOST_H

#include "vmm/net/filter.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/net_frames.h"
#include "tests/support/unit.h"
#include "vmm/net/tls.h"

#define SECOND	 UINT64_C(1000000000)
#define PRIVATE	 ADDRESS(10, 0, 0, 5)
#define METADATA ADDRESS(169, 254, 169, 254)
#define SHOWN	 64

struct rule {
	enum filter_protocol protocol;
	const char *name; /* NULL: by address */
	uint32_t address;
	uint16_t port; /* 0: any */
	bool host, deny, ask;
};

extern const struct rule *rules;
extern size_t rule_count;
extern struct filter *filter;
extern uint64_t now;
extern uint8_t bytes[FRAME_MAX];

/* The filter's output: the last frame each way, all payload to the peer, and the log. */
struct out {
	unsigned count;
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t length;
};
extern struct out guest_got, peer_got;
extern uint8_t said[1 << 16];
extern size_t said_length;
extern char logged[SHOWN][400];
extern unsigned log_count;
extern uint32_t ticket;
extern char asked[DNS_NAME_TEXT];
extern int resolve_result;
extern bool log_full, log_last_only;

void to_guest(void *arg, const uint8_t *frame, size_t length);
void to_peer(void *arg, const uint8_t *frame, size_t length);

/* The questions to an operator: the last one as text, and how many there were. */
extern char question[400];
extern int questions, ask_result; /* less than 0: no operator */
extern uint32_t taken_back;
extern const struct filter_ops host_ops;

void forget_output(void);

extern bool once; /* the next filter's backend accepts a SYN just once */

void begin_filter(const struct rule *with, size_t count);
void end_filter(void);
struct filter_stats stats_of_filter(void);

extern const struct rule some[8];

struct net_segment out_segment(uint32_t target, uint16_t port);
void send_tcp(struct net_segment segment);
void receive_tcp(struct net_segment segment);

/* The peer accepts the connection: SYN and ACK. */
void accept_from(uint32_t target, uint16_t port);

/* Opens a connection until the guest may send; false if it is refused. */
bool connects(uint32_t target, uint16_t port);

/* Sends payload of the connection, at an offset of its stream. */
void say(uint32_t target, uint16_t port, const void *data, size_t offset, size_t length,
	 uint8_t flags);

void acknowledge(uint32_t target, uint16_t port, size_t offset);

/* The guest resets a connection on which it has sent no payload. */
void hang_up(uint32_t target, uint16_t port);

void ask(const char *name, uint16_t type);
int answered_rcode(void);
unsigned answered_count(void);
void resolved(uint32_t address, uint32_t ttl);
void pin(const char *name, uint32_t address);

extern uint8_t hello_bytes[20000];

size_t hello(const char *name);

#endif
