/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An honest guest on a link that drops and repeats frames: whatever happens, both ends get equal
 * streams. The guest here is a small TCP of its own, which shares no code with the endpoint.
 */
#include "tests/support/relay_tcp.h"
#include "tests/support/unit.h"

#define RUNS	150
#define STREAM	30000u /* bytes each way */
#define TURNS	20000u
#define HELD	256
#define MS	UINT64_C(1000000)
#define PATIENT (500 * MS) /* the guest's retransmission time-out */

struct frame_copy {
	struct tcp_segment segment;
	uint8_t data[8192];
};

/* Frames on their way in one direction. */
struct lane {
	struct frame_copy frame[HELD];
	unsigned count;
};

static struct guest {
	uint32_t iss, una, nxt, edge; /* what it sends: sequence numbers */
	uint32_t rcv_nxt;
	uint32_t window; /* that it offers now */
	bool open, fin_acknowledged, fin_got;
	uint8_t got[STREAM + 1];
	uint32_t got_length;
	uint64_t sent_ns;
	uint32_t total; /* bytes that it sends before its FIN */
} guest;

static struct lane to_guest, to_relay;
static uint64_t state, now_ns;
static unsigned loss; /* of 256 */

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % limit;
}

static uint8_t byte_of(unsigned way, uint32_t at)
{
	return (uint8_t)(at * 167 + (at >> 8) * 13 + way);
}

/* Lost, once or twice; a full lane loses frames too. */
static void carry(struct lane *lane, const struct tcp_segment *segment)
{
	unsigned copies = below(256) < loss ? 0 : below(256) < loss / 2 ? 2 : 1;

	ck_assert_uint_le(segment->length, sizeof(lane->frame[0].data));
	for (; copies > 0 && lane->count < HELD; copies--) {
		struct frame_copy *copy = &lane->frame[lane->count++];

		copy->segment = *segment;
		if (segment->length)
			memcpy(copy->data, segment->data, segment->length);
		copy->segment.data = copy->data;
	}
}

static void relay_sends(void *arg, const struct tcp_segment *segment)
{
	(void)arg;
	carry(&to_guest, segment);
}

static void guest_sends(uint8_t flags, uint32_t sequence, size_t length)
{
	uint8_t data[8192];
	struct tcp_segment segment = {.flags = flags,
				      .sequence = sequence,
				      .acknowledged = guest.rcv_nxt,
				      .window = (uint16_t)guest.window,
				      .data = data,
				      .length = length,
				      .mss = 700};
	size_t i;

	for (i = 0; i < length; i++)
		data[i] = byte_of(1, sequence - guest.iss - 1 + (uint32_t)i);
	carry(&to_relay, &segment);
}

/* New data within the window of the relay, or all from una on once patience is over. */
static void guest_pumps(void)
{
	uint32_t end = guest.iss + 1 + guest.total, length;

	if (!guest.open) {
		if (now_ns - guest.sent_ns >= PATIENT) {
			guest.sent_ns = now_ns;
			guest_sends(TCP_SYN, guest.iss, 0);
		}
		return;
	}
	if (now_ns - guest.sent_ns >= PATIENT && !guest.fin_acknowledged) {
		guest.nxt = guest.una;
		guest.sent_ns = now_ns;
		if (guest.una == guest.edge && guest.una != end) /* a probe */
			guest_sends(TCP_ACK, guest.una, 1);
	}
	while (tcp_before(guest.nxt, end) && tcp_before(guest.nxt, guest.edge)) {
		length = (uint32_t)min_u64(min_u64(end - guest.nxt, guest.edge - guest.nxt),
					   1 + below(1460));
		guest_sends(TCP_ACK, guest.nxt, length);
		guest.nxt += length;
		guest.sent_ns = now_ns;
	}
	if (guest.nxt == end) {
		guest_sends(TCP_ACK | TCP_FIN, end, 0);
		guest.nxt = end + 1;
		guest.sent_ns = now_ns;
	}
}

static void guest_takes_data(const struct tcp_segment *segment)
{
	uint32_t i, at;

	for (i = 0; i < segment->length; i++) {
		at = segment->sequence + i;
		if (at != guest.rcv_nxt || guest.window == 0)
			continue;
		if (guest.got_length == STREAM)
			ck_abort_msg("more than was written");
		guest.got[guest.got_length++] = segment->data[i];
		guest.rcv_nxt++;
		guest.window--;
	}
	if (segment->flags & TCP_FIN && segment->sequence + segment->length == guest.rcv_nxt) {
		guest.rcv_nxt++;
		guest.fin_got = true;
	}
	if (segment->length || segment->flags & TCP_FIN)
		guest_sends(TCP_ACK, guest.nxt, 0);
}

static void guest_gets(const struct tcp_segment *segment)
{
	uint32_t edge = segment->acknowledged + segment->window;

	ck_assert(!(segment->flags & TCP_RST));
	if (segment->flags & TCP_SYN) {
		if (!guest.open) {
			guest.rcv_nxt = segment->sequence + 1;
			guest.una = guest.nxt = guest.iss + 1;
			guest.edge = edge;
			guest.open = true;
		}
		guest_sends(TCP_ACK, guest.nxt, 0);
		return;
	}
	if (!guest.open)
		return;
	if (tcp_before(guest.una, segment->acknowledged)) {
		guest.una = segment->acknowledged;
		guest.sent_ns = now_ns;
		if (tcp_before(guest.nxt, guest.una))
			guest.nxt = guest.una;
		guest.fin_acknowledged = guest.una == guest.iss + 2 + guest.total;
	}
	if (tcp_before(guest.edge, edge))
		guest.edge = edge;
	guest_takes_data(segment);
	if (tcp_before(segment->sequence, guest.rcv_nxt) && !segment->length)
		guest_sends(TCP_ACK, guest.nxt, 0); /* an old one, or a probe */
}

/* --- the owner --- */

static uint32_t read_length, written;
static uint64_t retransmitted;

static void owner_acts(struct tcp *tcp, uint32_t total)
{
	size_t length, i;
	const uint8_t *bytes = tcp_peek(tcp, &length);
	uint8_t chunk[3000];

	if (below(3))
		length = min_u64(length, below(3000));
	for (i = 0; i < length; i++)
		if (bytes[i] != byte_of(1, read_length + (uint32_t)i))
			ck_abort_msg("the owner's byte %u", read_length + (unsigned)i);
	read_length += (uint32_t)length;
	tcp_consume(tcp, length);
	length = min_u64(total - written, below(sizeof(chunk)));
	for (i = 0; i < length; i++)
		chunk[i] = byte_of(2, written + (uint32_t)i);
	written += (uint32_t)tcp_write(tcp, chunk, length);
	if (written == total)
		tcp_shutdown(tcp);
}

/* Empties a lane, so that replies do not mix with what is being delivered. */
static void take(struct lane *from, struct lane *to)
{
	memcpy(to->frame, from->frame, from->count * sizeof(from->frame[0]));
	to->count = from->count;
	from->count = 0;
}

static void deliver(struct tcp *tcp)
{
	static struct lane now;
	unsigned i;

	take(&to_guest, &now);
	for (i = 0; i < now.count; i++) {
		now.frame[i].segment.data = now.frame[i].data;
		guest_gets(&now.frame[i].segment);
	}
	take(&to_relay, &now);
	for (i = 0; i < now.count; i++) {
		now.frame[i].segment.data = now.frame[i].data;
		ck_assert(!tcp_input(tcp, &now.frame[i].segment, now_ns));
	}
}

static struct tcp *open_guest(const struct tcp_config *config, uint32_t isn)
{
	struct tcp_segment syn = {.sequence = guest.iss, .flags = TCP_SYN, .window = 0, .mss = 700};
	struct tcp *tcp;

	ck_assert_int_eq(tcp_open_passive(&tcp, config, NULL, &syn, isn), 0);
	tcp_accept(tcp, now_ns);
	return tcp;
}

static void run(uint64_t seed)
{
	struct relay_memory memory = {.max = MIB(1)};
	struct tcp_config config = {.output = relay_sends, .mss = 1460, .memory = &memory};
	struct tcp_counts counts;
	uint32_t total, turn;
	struct tcp *tcp;

	state = seed * UINT64_C(0x9e3779b97f4a7c15);
	loss = seed % 4 == 0 ? 0 : 8u << (seed % 4);
	now_ns = read_length = written = 0;
	to_guest.count = to_relay.count = 0;
	guest = (struct guest){.iss = UINT32_MAX - below(40000), .total = below(STREAM)};
	guest.window = 1 + below(5000);
	config.receive = 1024u << below(5);
	config.send = 1024u << below(5);
	config.gso = seed % 2 ? 8000 : 0; /* a card with TSO */
	total = below(STREAM);
	tcp = open_guest(&config, UINT32_MAX - below(40000));
	for (turn = 0; turn < TURNS && tcp_cause(tcp) == TCP_CAUSE_NONE; turn++) {
		now_ns += below(4) ? MS : 100 * MS;
		deliver(tcp);
		if (below(4) == 0) { /* the program in the guest reads some */
			guest.window += below(8000);
			guest.window = (uint32_t)min_u64(guest.window, 30000);
			if (guest.open && below(2))
				guest_sends(TCP_ACK, guest.nxt, 0);
		}
		guest_pumps();
		owner_acts(tcp, total);
		tcp_tick(tcp, now_ns);
	}
	owner_acts(tcp, total);
	while (tcp_look(tcp) & TCP_LOOK_READABLE)
		owner_acts(tcp, total);
	ck_assert_msg(tcp_cause(tcp) == TCP_CAUSE_ENDED, "seed %llu: cause %d in state %d",
		      (unsigned long long)seed, tcp_cause(tcp), tcp_state(tcp));
	ck_assert_uint_eq(tcp_look(tcp),
			  TCP_LOOK_OPEN | TCP_LOOK_ENDED | TCP_LOOK_SENT | TCP_LOOK_CLOSED);
	ck_assert_uint_eq(read_length, guest.total);
	ck_assert_uint_eq(guest.got_length, total);
	ck_assert(guest.fin_got);
	for (turn = 0; turn < total; turn++)
		if (guest.got[turn] != byte_of(2, turn))
			ck_abort_msg("the guest's byte %u", turn);
	tcp_counts(tcp, &counts);
	retransmitted += loss ? counts.retransmitted : 0;
	tcp_destroy(tcp);
	ck_assert_uint_eq(memory.used, 0);
}

START_TEST(both_ends_get_equal_streams)
{
	uint64_t seed;

	for (seed = 1; seed <= RUNS; seed++)
		run(seed);
	ck_assert_uint_gt(retransmitted, RUNS); /* frames were lost */
}
END_TEST

UNIT_MAIN("relay_tcp_honest", both_ends_get_equal_streams)
