/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket device between a guest that mostly keeps to the protocol and host programs that do
 * anything: Unix clients and listeners, and in-process endpoints. The guest remembers the
 * connections that it knows from the device, so that most packets belong to one; then one field of
 * a header, a length or a buffer is wrong.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/vsock_programs.h"
#include "tests/support/fake_vsock.h"
#include "vmm/base/pack.h"

#define SERVICE	  1000u /* an in-process port */
#define STEPS	  200
#define PAIRS	  16
#define ENDPOINTS 8

struct endpoint {
	struct vsock_stream *stream;
};

struct run {
	struct fuzz_script script;
	struct fake_vsock fake;
	struct {
		uint32_t host, guest;
	} pair[PAIRS]; /* connections that the guest knows of */
	unsigned pairs;
	struct programs programs;
	struct endpoint endpoint[ENDPOINTS];
};

static struct run run;

/* --- in-process endpoints --------------------------------------------------------------------- */

static void close_endpoint(struct endpoint *endpoint)
{
	if (endpoint->stream)
		vsock_stream_close(endpoint->stream);
	endpoint->stream = NULL;
}

static void endpoint_action(struct endpoint *endpoint)
{
	static uint8_t bytes[70000];
	uint64_t length;
	long n;

	if (!endpoint->stream)
		return;
	length = fuzz_number(&run.script, 2);
	switch (fuzz_below(&run.script, 8)) {
	case 0:
	case 1:
	case 2:
		n = vsock_stream_read(endpoint->stream, bytes, length);
		FUZZ_REQUIRE(n == -EAGAIN || (n >= 0 && n <= (long)length));
		break;
	case 3:
	case 4:
	case 5:
		n = vsock_stream_write(endpoint->stream, bytes, length);
		FUZZ_REQUIRE(n == -EAGAIN || n == -EPIPE || (n >= 0 && n <= (long)length));
		break;
	case 6:
		vsock_stream_shutdown_write(endpoint->stream);
		break;
	default:
		close_endpoint(endpoint);
		break;
	}
}

static void on_news(void *arg)
{
	if (fuzz_below(&run.script, 3) == 0)
		endpoint_action(arg);
}

static void on_closed(void *arg)
{
	if (fuzz_below(&run.script, 3) > 0)
		close_endpoint(arg);
}

static const struct vsock_stream_ops endpoint_ops = {
	.readable = on_news, .writable = on_news, .closed = on_closed};

static int on_accept(void *arg, struct vsock_stream *stream)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < ENDPOINTS; i++) {
		if (run.endpoint[i].stream)
			continue;
		run.endpoint[i].stream = stream;
		vsock_stream_set_ops(stream, &endpoint_ops, &run.endpoint[i]);
		if (fuzz_rarely(&run.script, 8))
			endpoint_action(&run.endpoint[i]);
		return 0;
	}
	return -EBUSY;
}

static void connect_endpoint(void)
{
	uint32_t port = 1 + fuzz_below(&run.script, 4);
	struct vsock_stream *stream;
	unsigned i;

	for (i = 0; i < ENDPOINTS && run.endpoint[i].stream; i++)
		;
	if (i == ENDPOINTS ||
	    vsock_connect(run.fake.vsock, port, &endpoint_ops, &run.endpoint[i], &stream) < 0)
		return;
	run.endpoint[i].stream = stream;
}

/* --- the guest -------------------------------------------------------------------------------- */

static void remember(uint32_t host, uint32_t guest)
{
	unsigned at = run.pairs < PAIRS ? run.pairs++ : fuzz_below(&run.script, PAIRS);

	run.pair[at].host = host;
	run.pair[at].guest = guest;
}

static void answer(enum vsock_op op, const struct vsock_header *to)
{
	struct vsock_header header = fake_vsock_header(&run.fake, op, to->src_port, to->dst_port);

	fake_vsock_queue_raw(&run.fake, &header, NULL, 0);
	fake_queue_kick(run.fake.tx);
}

static void take_packets(void)
{
	struct fake_packet packet;

	while (fake_vsock_take(&run.fake, &packet)) {
		if (packet.written == 0) /* odd_buffer() made it too small */
			continue;
		FUZZ_REQUIRE(packet.written == VSOCK_HEADER_BYTES + packet.header.length);
		FUZZ_REQUIRE(packet.written <= FAKE_VSOCK_BUFFER);
		FUZZ_REQUIRE(packet.header.op >= 1 && packet.header.op < VSOCK_OPS);
		FUZZ_REQUIRE(packet.header.op == VSOCK_OP_RW || packet.header.length == 0);
		FUZZ_REQUIRE(packet.header.buf_alloc <= VSOCK_STREAM_BUFFER);
		FUZZ_REQUIRE(packet.header.dst_cid == VSOCK_GUEST_CID);
		run.fake.fwd_cnt += packet.header.length;
		if (packet.header.op == VSOCK_OP_REQUEST) {
			remember(packet.header.src_port, packet.header.dst_port);
			if (fuzz_below(&run.script, 4) > 0)
				answer(VSOCK_OP_RESPONSE, &packet.header);
		} else if (packet.header.op == VSOCK_OP_SHUTDOWN &&
			   packet.header.flags == VSOCK_SHUTDOWN_BOTH &&
			   fuzz_below(&run.script, 2) == 0) {
			answer(VSOCK_OP_RST, &packet.header);
		}
	}
}

static void break_header(struct vsock_header *header)
{
	struct fuzz_script *script = &run.script;

	switch (fuzz_below(script, 10)) {
	case 0:
		header->src_cid = fuzz_number(script, 8);
		break;
	case 1:
		header->dst_cid = fuzz_number(script, 8);
		break;
	case 2:
		header->src_port = (uint32_t)fuzz_number(script, 4);
		break;
	case 3:
		header->dst_port = (uint32_t)fuzz_number(script, 4);
		break;
	case 4:
		header->length = (uint32_t)fuzz_number(script, 4);
		break;
	case 5:
		header->type = (uint16_t)fuzz_number(script, 2);
		break;
	case 6:
		header->op = (uint16_t)fuzz_number(script, 2);
		break;
	case 7:
		header->flags = (uint32_t)fuzz_number(script, 4);
		break;
	case 8:
		header->buf_alloc = (uint32_t)fuzz_number(script, 4);
		break;
	default:
		header->fwd_cnt = (uint32_t)fuzz_number(script, 4);
		break;
	}
}

static void send_packet(void)
{
	static const enum vsock_op often[] = {
		VSOCK_OP_REQUEST,
		VSOCK_OP_REQUEST,
		VSOCK_OP_RESPONSE,
		VSOCK_OP_RST,
		VSOCK_OP_RW,
		VSOCK_OP_RW,
		VSOCK_OP_RW,
		VSOCK_OP_SHUTDOWN,
		VSOCK_OP_RW,
		VSOCK_OP_RW,
		VSOCK_OP_CREDIT_UPDATE,
		VSOCK_OP_CREDIT_REQUEST,
	};
	static uint8_t bytes[65536];
	struct fuzz_script *script = &run.script;
	enum vsock_op op = often[fuzz_below(script, ARRAY_SIZE(often))];
	uint32_t host = SERVICE, guest = 100 + fuzz_below(script, 8), length = 0;
	struct vsock_header header;
	unsigned at;

	if (op == VSOCK_OP_REQUEST) {
		host = fuzz_below(script, 2) ? SERVICE : PROGRAMS_PORT;
		remember(host, guest);
	} else if (run.pairs > 0) {
		at = fuzz_below(script, run.pairs);
		host = run.pair[at].host;
		guest = run.pair[at].guest;
	}
	header = fake_vsock_header(&run.fake, op, host, guest);
	if (op == VSOCK_OP_RW)
		header.length = length = (uint32_t)fuzz_number(script, 2);
	if (op == VSOCK_OP_SHUTDOWN)
		header.flags = fuzz_below(script, 4);
	if (fuzz_rarely(script, 8))
		break_header(&header);
	if (!fake_vsock_queue_raw(&run.fake, &header, bytes, length))
		return;
	if (fuzz_below(script, 4) > 0)
		fake_queue_kick(run.fake.tx);
}

/* A receive buffer of some other size. */
static void odd_buffer(void)
{
	struct fake_vsock *fake = &run.fake;
	uint32_t length = 1 + (uint32_t)fuzz_number(&run.script, 1);

	if (fake->given - fake->taken >= fake->rx->size - 1u)
		return;
	fake_queue_add_one(fake->rx, fake->rx_buffer[fake->rx->next_desc], length, true);
	fake->given++;
	fake_queue_kick(fake->rx);
}

static void give_buffers(void)
{
	unsigned room = run.fake.rx->size - (run.fake.given - run.fake.taken);
	unsigned count = fuzz_below(&run.script, 32);

	fake_vsock_give(&run.fake, count < room ? count : room);
}

static void go_on(void);

static void guest_action(void)
{
	switch (fuzz_below(&run.script, 16)) {
	case 0:
	case 1:
		give_buffers();
		break;
	case 2:
		odd_buffer();
		break;
	case 3:
	case 4:
		take_packets();
		break;
	case 5:
		run.fake.buf_alloc = fuzz_rarely(&run.script, 2)
					     ? (uint32_t)fuzz_number(&run.script, 4)
					     : FAKE_VSOCK_WINDOW;
		break;
	case 6:
		if (fuzz_rarely(&run.script, 8))
			vsock_transport_reset(run.fake.vsock);
		else if (fuzz_rarely(&run.script, 8))
			go_on();
		break;
	default:
		send_packet();
		break;
	}
}

/* --- a snapshot ------------------------------------------------------------------------------- */

/* Perhaps changes bytes of the saved state. Returns whether it has. */
static bool change(struct pack *bytes)
{
	unsigned i;

	if (!fuzz_rarely(&run.script, 2))
		return false;
	for (i = 0; i < 3; i++)
		bytes->data[fuzz_number(&run.script, 2) % bytes->length] =
			(uint8_t)fuzz_number(&run.script, 1);
	return true;
}

/*
 * Restores an endpoint's stream. After forged bytes there may be none, also of a later endpoint,
 * whose ports a forged stream may have.
 */
static void restore_endpoint(struct endpoint *endpoint, uint32_t port, struct pack *saved,
			     bool *forged)
{
	bool changed = change(saved) || *forged;
	struct unpack from = {.data = saved->data, .length = saved->length};
	int ret = vsock_stream_restore(run.fake.vsock, port, &from, &endpoint_ops, endpoint,
				       &endpoint->stream);

	FUZZ_REQUIRE(ret == 0 ? endpoint->stream != NULL : endpoint->stream == NULL);
	FUZZ_REQUIRE(changed || ret == 0 || ret == -ENOBUFS);
	*forged = changed;
	pack_free(saved);
}

/* Saves all streams and restores them, as for another device of the same guest. */
static void go_on(void)
{
	struct vsock *vsock = run.fake.vsock;
	struct pack saved[ENDPOINTS] = {{0}}, others = {.data = NULL};
	uint32_t port[ENDPOINTS] = {0};
	struct unpack from;
	bool forged = false;
	unsigned i;

	for (i = 0; i < ENDPOINTS; i++) {
		if (!run.endpoint[i].stream)
			continue;
		port[i] = run.endpoint[i].stream->ports.host;
		if (!vsock_stream_save(run.endpoint[i].stream, &saved[i]))
			port[i] = 0;
	}
	vsock_save_others(vsock, &others);
	for (i = 0; i < ENDPOINTS; i++)
		close_endpoint(&run.endpoint[i]);
	vsock_forget_streams(vsock);
	for (i = 0; i < ENDPOINTS; i++)
		if (port[i])
			restore_endpoint(&run.endpoint[i], port[i], &saved[i], &forged);
	change(&others);
	from = (struct unpack){.data = others.data, .length = others.length};
	vsock_restore_others(vsock, &from);
	pack_free(&others);
}

/* --- one input -------------------------------------------------------------------------------- */

static void check(void)
{
	struct vsock_stats stats = fake_vsock_stats(&run.fake);

	FUZZ_REQUIRE(stats.buffered_bytes <= MIB(64));
	FUZZ_REQUIRE(stats.streams <= VSOCK_STREAMS_MAX);
	FUZZ_REQUIRE(run.fake.vsock->pool_used <= VSOCK_POOL);
	FUZZ_REQUIRE(run.fake.vsock->stray_count <= VSOCK_STRAYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned i;

	memset(&run, 0, sizeof(run));
	run.script = (struct fuzz_script){.at = data, .left = size};
	fake_vsock_begin(&run.fake, true);
	programs_begin(&run.programs, run.fake.path);
	FUZZ_REQUIRE(vsock_listen(run.fake.vsock, SERVICE, on_accept, NULL) == 0);
	/* Time-outs short enough for the script. */
	run.fake.vsock->lingering.delay_ns = 0;
	run.fake.vsock->blocked.delay_ns = 0;
	give_buffers();
	for (i = 0; i < STEPS && !fuzz_ended(&run.script); i++) {
		switch (fuzz_below(&run.script, 8)) {
		case 0:
		case 1:
			programs_act(&run.programs, &run.script, run.fake.path);
			break;
		case 2:
			endpoint_action(&run.endpoint[fuzz_below(&run.script, ENDPOINTS)]);
			break;
		case 3:
			if (fuzz_rarely(&run.script, 4))
				connect_endpoint();
			break;
		default:
			guest_action();
			break;
		}
		if (fuzz_below(&run.script, 2) == 0)
			fake_vsock_run(&run.fake);
		check();
	}
	for (i = 0; i < ENDPOINTS; i++)
		if (i % 2 == 0)
			close_endpoint(&run.endpoint[i]);
	fake_vsock_end(&run.fake);
	programs_end(&run.programs);
	return 0;
}
