/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that makes two readers of its segments disagree: what a rule is asked about, and what is
 * passed on. Each script is a list of segments after the guest's SYN (S1) was accepted. A
 * reassembler in which the first byte of each sequence number wins, and which knows only of S1,
 * says which bytes the owner may see: it must see these and no others.
 */
#include "tests/unit/relay_tcp_common.h"

#define STEPS 10
#define K     8 /* bytes before the first one */

enum act { END, IN, ACCEPT, CONSUME, SHUT, NEXT /* a new connection, if the endpoint says so */ };

struct step {
	enum act act;
	uint8_t flags;
	int sequence; /* from S1 + 1 */
	const char *data;
	int acknowledged; /* from what was sent; the right one is 0 */
};

struct script {
	const char *name;
	bool unanswered; /* begins before the owner has decided */
	bool ended;	 /* the connection does not survive it, and "GOOD" is not sent after it */
	struct step step[STEPS];
};

#define A     TCP_ACK
#define S     TCP_SYN
#define F     (TCP_FIN | TCP_ACK)
#define SA    (TCP_SYN | TCP_ACK)
#define R     TCP_RST
#define RA    (TCP_RST | TCP_ACK)
#define EVIL  "evilevil"
#define HELLO "HELLO"
#define LOWER                        \
	{                            \
		IN, S, -1 - K, "", 0 \
	} /* the second SYN, at S1 - k */
#define BEFORE                     \
	{                          \
		IN, A, -K, EVIL, 0 \
	} /* a permitted name in the k bytes before S1 + 1 */

/* clang-format off */
static const struct script script[] = {
	{"nothing", 0, 0, {{END, 0, 0, NULL, 0}}},
	{"a hello", 0, 0, {{IN, A, 0, HELLO, 0}}},
	{"second SYN below", 0, 0, {LOWER, BEFORE, {IN, A, 0, HELLO, 0}}},
	{"second SYN below, data across S1 + 1", 0, 0, {LOWER, {IN, A, -K, EVIL HELLO, 0}}},
	{"second SYN below, acknowledged", 0, 0, {LOWER, {IN, A, -K, "", 0}, BEFORE}},
	{"second SYN below, with an ACK", 0, 0, {{IN, SA, -1 - K, "", 0}, BEFORE, {IN, A, 0, HELLO, 0}}},
	{"second SYN below, with data", 0, 0, {{IN, S, -1 - K, EVIL, 0}, {IN, A, 0, HELLO, 0}}},
	{"second SYN before the handshake", 1, 0, {LOWER, BEFORE, {ACCEPT, 0, 0, NULL, 0}, BEFORE}},
	{"second SYN after SYN-ACK", 1, 0, {{ACCEPT, 0, 0, NULL, 0}, LOWER, BEFORE}},
	{"data before the decision", 1, 0, {{IN, A, 0, EVIL, 0}, {ACCEPT, 0, 0, NULL, 0}, {IN, A, 0, HELLO, 0}}},
	{"FIN before the decision", 1, 0, {{IN, F, 0, "", 0}, {ACCEPT, 0, 0, NULL, 0}}},
	{"data in a repeated SYN", 1, 0, {{IN, S, -1, EVIL, 0}, {ACCEPT, 0, 0, NULL, 0}, {IN, S, -1, EVIL, 0}}},
	{"data with a wrong first ACK", 1, 0, {{ACCEPT, 0, 0, NULL, 0}, {IN, A, 0, EVIL, 5}, {IN, A, 0, HELLO, 0}}},
	{"second SYN above", 0, 0, {{IN, S, 100, "", 0}, {IN, A, 101, EVIL, 0}, {IN, A, 0, HELLO, 0}}},
	{"second SYN at the next byte", 0, 0, {{IN, S, 0, "", 0}, {IN, A, 1, EVIL, 0}, {IN, A, 0, HELLO, 0}}},
	{"the same SYN again", 0, 0, {{IN, S, -1, "", 0}, {IN, A, 0, HELLO, 0}}},
	{"SYN half a space away", 0, 0, {{IN, S, INT32_MIN + 5, "", 0}, {IN, A, INT32_MIN + 6, EVIL, 0}}},
	{"SYN and FIN", 0, 0, {{IN, S | F, 0, EVIL, 0}}},
	{"SYN and RST below", 0, 0, {{IN, S | R, -1 - K, "", 0}, BEFORE}},
	{"SYN in the middle", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, S, 2, "", 0}, {IN, A, 3, EVIL, 0}}},
	{"resent with other bytes", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, A, 0, EVIL, 0}}},
	{"overlap to the left", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, A, 2, EVIL, 0}}},
	{"overlap by one byte", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, A, 4, EVIL, 0}}},
	{"inside", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, A, 1, "xx", 0}}},
	{"around, from before", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, A, -3, EVIL EVIL, 0}}},
	{"byte by byte, each again", 0, 0, {{IN, A, 0, "a", 0}, {IN, A, 0, "xb", 0}, {IN, A, 0, "yyc", 0}}},
	{"behind a gap, then filled with others", 0, 0, {{IN, A, 5, EVIL, 0}, {IN, A, 0, HELLO, 0}, {IN, A, 5, "good", 0}}},
	{"around a gap", 0, 0, {{IN, A, 5, EVIL, 0}, {IN, A, 0, "HELLOother", 0}}},
	{"resent after the owner read", 0, 0, {{IN, A, 0, HELLO, 0}, {CONSUME, 0, 0, NULL, 0}, {IN, A, 0, EVIL, 0}}},
	{"zero length, then other", 0, 0, {{IN, A, 0, "", 0}, {IN, A, 5, "", 0}, {IN, A, 0, HELLO, 0}}},
	{"keep-alive with a byte", 0, 0, {{IN, A, 0, HELLO, 0}, {IN, A, 4, "X", 0}, {IN, A, -1, "X", 0}}},
	{"no ACK flag", 0, 0, {{IN, 0, 0, EVIL, 0}, {IN, TCP_PSH, 0, EVIL, 0}, {IN, A, 0, HELLO, 0}}},
	{"FIN without ACK", 0, 0, {{IN, TCP_FIN, 0, "", 0}, {IN, A, 0, HELLO, 0}}},
	{"ACK of the future", 0, 0, {{IN, A, 0, EVIL, 1}, {IN, A, 0, EVIL, 99999}, {IN, A, 0, HELLO, 0}}},
	{"ACK of the past", 0, 0, {{IN, A, 0, EVIL, -100000}, {IN, A, 0, EVIL, INT32_MIN}, {IN, A, 0, HELLO, 0}}},
	{"RST in the window, data on", 0, 0, {{IN, R, 3, "", 0}, {IN, A, 0, HELLO, 0}}},
	{"RST with data", 0, 0, {{IN, R, 3, EVIL, 0}, {IN, A, 0, HELLO, 0}}},
	{"RST below, second SYN, data", 0, 0, {{IN, R, -1, "", 0}, LOWER, BEFORE, {IN, A, 0, HELLO, 0}}},
	{"RST, then data", 0, 1, {{IN, A, 0, HELLO, 0}, {CONSUME, 0, 0, NULL, 0}, {IN, RA, 5, "", 0}, {IN, A, 5, EVIL, 0}}},
	{"RST with data, exact", 0, 1, {{IN, R, 0, EVIL, 0}, {IN, A, 0, EVIL, 0}}},
	{"FIN, then data", 0, 1, {{IN, F, 0, HELLO, 0}, {IN, A, 5, EVIL, 0}, {IN, A, 6, EVIL, 0}}},
	{"FIN, then data across it", 0, 1, {{IN, F, 0, HELLO, 0}, {IN, A, 0, HELLO EVIL, 0}}},
	{"FIN inside the stream", 0, 1, {{IN, A, 0, HELLO, 0}, {IN, F, 2, "", 0}, {IN, F, 5, "", 0}, {IN, A, 5, EVIL, 0}}},
	{"FIN behind a gap, data before it", 0, 0, {{IN, F, 5, "", 0}, {IN, A, 0, HELLO, 0}}},
	{"FIN resent with data", 0, 1, {{IN, F, 0, "", 0}, {IN, F, 0, EVIL, 0}, {IN, F, 1, EVIL, 0}}},
	{"FIN, SYN below, data", 0, 1, {{IN, F, 0, HELLO, 0}, LOWER, BEFORE, {IN, A, 6, EVIL, 0}}},
	{"half-closed by the owner, SYN below", 0, 0, {{SHUT, 0, 0, NULL, 0}, LOWER, BEFORE, {IN, A, 0, HELLO, 0}}},
	{"beyond the window", 0, 0, {{IN, A, 70000, EVIL, 0}, {IN, A, INT32_MAX, EVIL, 0}, {IN, A, 0, HELLO, 0}}},
	{"reuse of a live port", 0, 0, {{IN, A, 0, HELLO, 0}, {NEXT, S, 1000, "", 0}, {IN, A, 1001, EVIL, 0}}},
	{"reuse after RST", 0, 1, {{IN, R, 0, "", 0}, {NEXT, S, -1 - K, "", 0}, {IN, A, 0, EVIL, 0}}},
	{"reuse in TIME-WAIT, from below", 0, 1, {{SHUT, 0, 0, NULL, 0}, {IN, F, 0, "", 1}, {NEXT, S, -1 - K, "", 0}, BEFORE, {IN, A, 1, EVIL, 0}}},
};
/* clang-format on */

/* The reassembler. */
static struct {
	char text[256];
	bool there[256];
	bool ended;
} reference;

static void refer(const struct step *step)
{
	size_t i, next = 0;
	int at;

	while (reference.there[next])
		next++;
	if (step->flags & TCP_RST && !(step->flags & TCP_SYN) && step->sequence == (int)next)
		reference.ended = true;
	if (reference.ended || step->sequence > (int)next || step->flags & (TCP_SYN | TCP_RST) ||
	    !(step->flags & TCP_ACK) ||
	    (step->acknowledged && !(step->flags & TCP_FIN && step->acknowledged == 1)))
		return;
	for (i = 0; step->data[i]; i++) {
		at = step->sequence + (int)i;
		if (at >= 0 && !reference.there[at]) {
			reference.there[at] = true;
			reference.text[at] = step->data[i];
			next = (size_t)at + 1;
		}
	}
	reference.ended = step->flags & TCP_FIN && step->sequence + (int)i == (int)next;
}

static char seen[256];

static void consume(void)
{
	size_t length;
	const uint8_t *bytes = tcp_peek(talk.tcp, &length);

	if (length)
		strncat(seen, (const char *)bytes, length);
	tcp_consume(talk.tcp, length);
}

static void run_step(const struct step *step, uint32_t ours, bool *accepted)
{
	struct tcp_segment segment = {
		.flags = step->flags,
		.sequence = GUEST((uint32_t)step->sequence),
		.acknowledged = ours + (uint32_t)step->acknowledged,
		.window = talk.window,
		.data = (const uint8_t *)step->data,
		.length = step->data ? strlen(step->data) : 0,
	};

	switch (step->act) {
	case IN:
	case NEXT:
		/* The second connection is none of this one's: its bytes may not be seen here. */
		talk_in(&segment);
		if (*accepted)
			refer(step);
		break;
	case ACCEPT:
		tcp_accept(talk.tcp, talk.now_ns);
		*accepted = true;
		break;
	case CONSUME:
		consume();
		break;
	default:
		tcp_shutdown(talk.tcp);
		tcp_flush(talk.tcp, talk.now_ns);
		break;
	}
}

static void run_script(const struct script *what)
{
	struct step good = {IN, A, 0, "GOOD", 0};
	bool accepted = !what->unanswered, shut = false;
	size_t i;

	talk_setup();
	memset(&reference, 0, sizeof(reference));
	seen[0] = '\0';
	if (what->unanswered)
		talk_syn();
	else
		talk_open();
	for (i = 0; i < STEPS && what->step[i].act != END; i++) {
		run_step(&what->step[i], OURS(0), &accepted);
		shut |= what->step[i].act == SHUT;
	}
	if (!what->ended) { /* the twin: an honest guest is served all the same */
		good.sequence = (int)strlen(reference.text);
		run_step(&good, OURS(shut), &accepted);
		ck_assert_msg(strstr(reference.text, "GOOD"), "%s: the reference", what->name);
	}
	consume();
	ck_assert_msg(strcmp(seen, reference.text) == 0, "%s: '%s', not '%s'", what->name, seen,
		      reference.text);
	tcp_destroy(talk.tcp);
}

START_TEST(the_owner_sees_what_the_reassembler_has)
{
	size_t i;

	ck_assert_uint_ge(ARRAY_SIZE(script), 41);
	for (i = 0; i < ARRAY_SIZE(script); i++)
		run_script(&script[i]);
}
END_TEST

/* The attack in full, with the replies that the guest gets. */
START_TEST(a_second_syn_gains_nothing)
{
	unsigned k;

	for (k = 1; k < 2000; k += 7) {
		char before[2001];

		talk_setup();
		talk_open();
		memset(before, 'e', k);
		before[k] = '\0';
		talk_bare(TCP_SYN, S1 - k, 0);
		talk_sent(TCP_ACK, OURS(0), GUEST(0)); /* the live connection's place */
		talk_text(GUEST(0) - k, before);
		talk_sent(TCP_ACK, OURS(0), GUEST(0));
		talk_reads("");
		talk_text(GUEST(0), "judged");
		talk_reads("judged");
		tcp_destroy(talk.tcp);
	}
}
END_TEST

UNIT_MAIN("relay_tcp_attack", the_owner_sees_what_the_reassembler_has, a_second_syn_gains_nothing)
