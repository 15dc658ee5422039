/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measurements of the network card: the same frame over and over, so many at a time. The addresses
 * are those of docs/network.md.
 */
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "bench/metal/guest.h"

#define DEPTH_MAX   64
#define RECEIVE	    64
#define FRAME_MAX   2048
#define HEADER	    sizeof(struct virtio_net_hdr_v1)
#define CONFIG_MAC  0
#define CONFIG_LINK 6		/* bit 0: it is up */
#define GUEST	    0xc0000202u /* 192.0.2.2 */
#define ROUTER	    0xc0000201u
#define HOST	    0xc0000204u /* the host's loopback */
#define ETHER_BYTES 14
#define IP_BYTES    20
#define UDP_BYTES   8
#define ARP_BYTES   28
#define UDP	    17

/* The router's MAC, as the relay answers ARP requests with. */
static const uint8_t router_mac[6] = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x01};

static struct queue queue[2]; /* receive, send */
static uint8_t receive[RECEIVE][HEADER + FRAME_MAX] __attribute__((aligned(64)));
static uint8_t send[DEPTH_MAX][HEADER + FRAME_MAX] __attribute__((aligned(64)));
static uint8_t guest_mac[6];

/* --- frames ----------------------------------------------------------------------------------- */

static uint8_t *put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
	return to + 2;
}

static uint8_t *put32(uint8_t *to, uint32_t value)
{
	return put16(put16(to, value >> 16), value);
}

static uint8_t *put_mac(uint8_t *to, const uint8_t *mac)
{
	memcpy(to, mac, 6);
	return to + 6;
}

static uint32_t sum(const uint8_t *bytes, size_t length, uint32_t so_far)
{
	size_t i;

	for (i = 0; i < length; i++)
		so_far += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return so_far;
}

static uint32_t checksum(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return ~total & 0xffff;
}

/* A datagram to a port of the host's loopback; bytes: of its payload. Returns the frame's length.
 */
static uint32_t make_datagram(uint8_t *frame, uint32_t port, uint32_t bytes)
{
	uint8_t *ip = frame + ETHER_BYTES, *udp = ip + IP_BYTES;
	uint32_t length = UDP_BYTES + bytes;

	memset(frame, 0, ETHER_BYTES + IP_BYTES + length);
	put16(put_mac(put_mac(frame, router_mac), guest_mac), 0x0800);
	put16(put16(ip, 0x4500), IP_BYTES + length);
	put16(ip + 8, 64 << 8 | UDP);
	put32(put32(ip + 12, GUEST), HOST);
	put16(ip + 10, checksum(sum(ip, IP_BYTES, 0)));
	put16(put16(put16(udp, 40000), port), length);
	put16(udp + 6, checksum(sum(udp, length, sum(ip + 12, 8, UDP + length))));
	return ETHER_BYTES + IP_BYTES + length;
}

/* An ARP request for the router, which the monitor answers itself. */
static uint32_t make_request(uint8_t *frame)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, unknown[6];
	uint8_t *at = put16(put_mac(put_mac(frame, all), guest_mac), 0x0806);

	at = put16(put16(put16(put16(at, 1), 0x0800), 6 << 8 | 4), 1);
	at = put32(put_mac(at, guest_mac), GUEST);
	put32(put_mac(at, unknown), ROUTER);
	return ETHER_BYTES + ARP_BYTES;
}

/* --- the card --------------------------------------------------------------------------------- */

static bool start_card(void)
{
	static bool started;
	struct device device;
	uint16_t i;

	if (started)
		return true;
	/* Without a link the card would drop the frames. */
	if (!device_find(&device, VIRTIO_ID_NET, 0) ||
	    !(device_config8(&device, CONFIG_LINK) & VIRTIO_NET_S_LINK_UP))
		return false;
	for (i = 0; i < 6; i++)
		guest_mac[i] = device_config8(&device, CONFIG_MAC + i);
	device_start(&device, 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MRG_RXBUF, queue, 2);
	for (i = 0; i < RECEIVE; i++) {
		queue[0].descriptors[i] = (struct vring_desc){.addr = (uintptr_t)receive[i],
							      .len = sizeof(receive[i]),
							      .flags = VRING_DESC_F_WRITE};
		queue_offer(&queue[0], i);
	}
	queue_kick(&queue[0]);
	started = true;
	return true;
}

/* Returns buffers of received frames to the card. How many there were. */
static unsigned drain(void)
{
	unsigned count = 0;
	uint32_t length;
	uint16_t head;

	while (queue_take(&queue[0], &head, &length)) {
		queue_offer(&queue[0], head);
		count++;
	}
	queue_kick(&queue[0]);
	return count;
}

struct run {
	unsigned depth;
	bool replies; /* each frame has one, which is waited for instead of the frame's return */
	uint64_t done;
	uint16_t free[DEPTH_MAX]; /* descriptors */
	unsigned free_count;
};

/* Sends until the time is over, and waits for the last frames, but not for ever. */
static uint64_t run_for(struct run *run, uint64_t cycles)
{
	uint64_t start = cycles_now(), end = start + cycles, give_up = end + 4 * cycles, now;
	unsigned received, sent, in_flight = 0;
	uint32_t length;
	uint16_t head;

	do {
		now = cycles_now();
		for (; in_flight < run->depth && run->free_count && now < end; in_flight++)
			queue_offer(&queue[1], run->free[--run->free_count]);
		queue_kick(&queue[1]);
		received = drain();
		for (sent = 0; queue_take(&queue[1], &head, &length); sent++)
			run->free[run->free_count++] = head;
		in_flight -= run->replies ? received : sent;
		run->done += run->replies ? received : sent;
		if (!received && !sent)
			__asm__ volatile("pause");
	} while (now < end || (in_flight > 0 && now < give_up));
	return now - start;
}

/*
 * udp,PORT,BYTES,DEPTH,CYCLES or arp,DEPTH,CYCLES. The result: datagrams sent, or replies received;
 * cycles; doorbells.
 */
bool measure_net(const char *fields, struct text *result)
{
	uint32_t port = 0, bytes = 0, length;
	bool udp = field_is(&fields, "udp");
	uint64_t cycles, doorbells;
	struct run run;
	unsigned i;

	if (!udp && !field_is(&fields, "arp"))
		return false;
	if (udp) {
		port = (uint32_t)field_number(&fields);
		bytes = (uint32_t)field_number(&fields);
	}
	run = (struct run){.depth = (unsigned)field_number(&fields), .replies = !udp};
	cycles = field_number(&fields);
	if (run.depth == 0 || run.depth > DEPTH_MAX || bytes > 1472 || !start_card())
		return false;
	for (i = 0; i < run.depth; i++) {
		length = udp ? make_datagram(send[i] + HEADER, port, bytes)
			     : make_request(send[i] + HEADER);
		queue[1].descriptors[i] =
			(struct vring_desc){.addr = (uintptr_t)send[i], .len = HEADER + length};
		run.free[run.free_count++] = (uint16_t)i;
	}
	run_for(&run, cycles / 16);
	run.done = 0;
	doorbells = queue[1].doorbells;
	cycles = run_for(&run, cycles);
	text_add_number(result, run.done);
	text_add(result, " ");
	text_add_number(result, cycles);
	text_add(result, " ");
	text_add_number(result, queue[1].doorbells - doorbells);
	return run.done > 0;
}
