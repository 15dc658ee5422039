/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tap's translation of addresses, both ways: a valid frame, perhaps with a few bytes changed,
 * or bytes of the input, in memory of the exact size. A valid frame stays valid with all of its
 * payload, a wrong checksum stays wrong, and no foreign address becomes one of ours.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "tests/support/net_frames.h"
#include "vmm/net/tap.h"

#define MOST 1600

struct run {
	struct fuzz_script script;
	struct tap_wire wire;
	uint8_t bytes[MOST], before[MOST];
	size_t length;
};

/* An address that matters to the translation, or any. */
static uint32_t some_address(struct run *run)
{
	const uint32_t address[] = {run->wire.guest,
				    run->wire.host,
				    ADDRESS_GUEST,
				    ADDRESS_HOST,
				    ADDRESS_ROUTER,
				    NET_PEER,
				    0,
				    UINT32_MAX};
	unsigned which = fuzz_below(&run->script, ARRAY_SIZE(address) + 2);

	return which < ARRAY_SIZE(address) ? address[which]
					   : (uint32_t)fuzz_number(&run->script, 4);
}

static void make_frame(struct run *run)
{
	struct fuzz_script *script = &run->script;
	static const uint8_t payload[1024] = "payload", mac[FRAME_MAC] = {2, 1, 2, 3, 4, 5};
	struct net_segment segment = {.source = some_address(run),
				      .target = some_address(run),
				      .source_port = (uint16_t)fuzz_number(script, 2),
				      .target_port = (uint16_t)fuzz_number(script, 2),
				      .flags = TCP_ACK,
				      .sequence = (uint32_t)fuzz_number(script, 4),
				      .payload = payload,
				      .length = fuzz_number(script, 2) % sizeof(payload)};
	unsigned kind = fuzz_below(script, 5);

	if (kind == 0) {
		run->length = net_tcp(run->bytes, &segment);
	} else if (kind == 1 || kind == 2) {
		run->length = net_udp(run->bytes, &segment);
		if (kind == 2) /* without a checksum */
			store_be16(run->bytes + FRAME_TRANSPORT + 6, 0);
	} else if (kind == 3) {
		run->length =
			net_echo(run->bytes, 8, segment.source, segment.target, 77, segment.length);
	} else {
		run->length = net_arp(run->bytes, (uint16_t)(1 + fuzz_below(script, 2)), mac,
				      segment.source, segment.target);
	}
}

static void break_frame(struct run *run)
{
	struct fuzz_script *script = &run->script;
	unsigned count = fuzz_rarely(script, 4) ? 1 + fuzz_below(script, 4) : 0;

	for (; count > 0; count--)
		run->bytes[fuzz_number(script, 1) % (run->length < 64 ? run->length : 64)] ^=
			(uint8_t)fuzz_number(script, 1);
	if (fuzz_rarely(script, 8))
		run->length = fuzz_number(script, 2) % (run->length + 1);
	if (fuzz_rarely(script, 8))
		run->length = min_u64(MOST, run->length + fuzz_below(script, 64));
}

/* The payload and the Ethernet header are unchanged. */
static void check_payload(const struct run *run, const struct frame *frame, const uint8_t *after)
{
	FUZZ_REQUIRE(memcmp(run->before + frame->payload, after + frame->payload,
			    frame->payload_length) == 0);
	FUZZ_REQUIRE(memcmp(run->before, after, FRAME_ETHERNET) == 0);
}

static void translate(struct run *run, bool out)
{
	uint8_t *exact = malloc(run->length + (run->length == 0));
	enum frame_verdict before, after;
	struct frame was, is;
	bool passed;

	FUZZ_REQUIRE(exact != NULL);
	memcpy(exact, run->bytes, run->length);
	memcpy(run->before, run->bytes, run->length);
	before = frame_parse(run->before, run->length, false, &was);
	passed = out ? tap_to_wire(&run->wire, exact, run->length)
		     : tap_from_wire(&run->wire, exact, run->length);
	after = frame_parse(exact, run->length, false, &is);
	if (passed && before == FRAME_OK && was.kind != FRAME_IS_ARP) {
		/* An address may be invalid on one of the two sides. */
		FUZZ_REQUIRE(after == FRAME_OK || after == FRAME_BAD_ADDRESS);
		if (after == FRAME_OK)
			check_payload(run, &was, exact);
	}
	if (passed && before == FRAME_BAD_CHECKSUM)
		FUZZ_REQUIRE(after != FRAME_OK);
	if (passed && after == FRAME_OK && is.kind != FRAME_IS_ARP) {
		/*
		 * Out: no address of ours leaves. In: the guest's address replaces its wire address
		 * as target, and one of ours replaces only the host's as source.
		 */
		FUZZ_REQUIRE(!out || (!address_own(is.source) && !address_own(is.target)));
		FUZZ_REQUIRE(out || is.target != ADDRESS_GUEST || was.target == run->wire.guest);
		FUZZ_REQUIRE(out || !address_own(is.source) || was.source == run->wire.host);
	}
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	bool out;

	run.script = (struct fuzz_script){.at = data, .left = size};
	out = fuzz_below(&run.script, 2);
	run.wire.host = ADDRESS(10, 99, 0, 1);
	if (fuzz_rarely(&run.script, 4))
		run.wire.host = (uint32_t)fuzz_number(&run.script, 4);
	/* As in tap_create(). A tap in our own range does not work, but does no harm. */
	run.wire.guest = tap_guest_address(run.wire.host, 8 + fuzz_below(&run.script, 24));
	if (address_own(run.wire.host) || address_own(run.wire.guest))
		return 0;
	if (fuzz_rarely(&run.script, 8)) {
		run.length = min_u64(run.script.left, MOST);
		memcpy(run.bytes, run.script.at, run.length);
	} else {
		make_frame(&run);
		break_frame(&run);
	}
	translate(&run, out);
	return 0;
}
