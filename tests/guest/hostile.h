/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small hostile guests on the real /dev/kvm, against the real devices (vmm/machine/device.h).
 *
 * A guest is a script: a table of commands in its memory (load, store, in, out, wait, repeat),
 * which a few instructions in ring 0, 64-bit mode, execute (code.c). So a test states only which
 * accesses it makes. Every test runs in its own process with its own machine, and ends with the
 * same checks: the script reached its end, its reads had the expected values, and the monitor's own
 * memory did not grow beyond the limit.
 *
 * A test program:
 *     static void build(struct hostile *h) { ... script_*() and driver_*() calls ... }
 *     static const struct hostile_test tests[] = {{.name = "...", .build = build}, ...};
 *     HOSTILE_MAIN(tests)
 */
#ifndef CORDON_TEST_HOSTILE_H
#define CORDON_TEST_HOSTILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/vsock/packet.h"
#include "tests/support/vsock_numbers.h"
#include "vmm/base/bytes.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine/console.h"
#include "vmm/machine/device.h"

/*
 * The guest's memory. All rings but the image's and the balloon's lie below 64 KiB, where a second
 * processor in real mode reaches them.
 */
#define HOSTILE_MEMORY	   MIB(64)
#define HOSTILE_TABLES	   0x1000u /* page tables: PML4, PDPT, four page directories, one more */
#define HOSTILE_FLIPS	   0x8000u /* (address, value) pairs for the second processor to store */
#define HOSTILE_ROUNDS	   0x8ffeu /* how often it has stored all of them */
#define HOSTILE_CPU2_CODE  0x9000u
#define HOSTILE_CODE	   0xa000u
#define HOSTILE_RINGS	   0xb000u
#define HOSTILE_RING_BYTES 0x800u
#define HOSTILE_BUFFERS	   0x100000u /* 2 MiB for buffers */
#define HOSTILE_HEADERS	   0x300000u /* packets of the socket device, 64 bytes apart */
#define HOSTILE_BALLOON	   0x3f0000u /* the balloon's rings, each in a page of its own */
#define HOSTILE_COMMANDS   0x400000u

/* The page at this virtual address lies 64 GiB up in physical memory, where there is nothing. */
#define HOSTILE_FAR_VIRTUAL GIB(4)

/*
 * The tests' own device: a write ends the script, a read only causes an exit. At one offset it
 * reads as the number of streams of the socket device, at another as what the test's tell()
 * returns, so that a script can wait for either.
 */
#define HOSTILE_DEVICE	       0xd0020000u
#define HOSTILE_DEVICE_STREAMS 4u
#define HOSTILE_DEVICE_TELL    8u
#define HOSTILE_DEVICE_SIZE    16u

/* The slots of the devices, in the order of devices_create(). */
#define SLOT_VSOCK   0
#define SLOT_RNG     1
#define SLOT_NET     2
#define SLOT_IMAGE   3 /* the read-only disk */
#define SLOT_DISK    4 /* the writable one */
#define SLOT_FS	     5
#define SLOT_BALLOON 6

/* Status bits on the way to a live device. */
#define ST_ACK	  1u
#define ST_DRIVER 2u
#define ST_OK	  4u
#define ST_FEAT	  8u
#define ST_RESET  64u
#define ST_FAILED 128u
#define ST_LIVE	  (ST_ACK | ST_DRIVER | ST_FEAT | ST_OK)

#define REG_DRIVER_FEATURES	0x020u
#define REG_DRIVER_FEATURES_SEL 0x024u
#define REG_QUEUE_SEL		0x030u
#define REG_QUEUE_NUM_MAX	0x034u
#define REG_QUEUE_NUM		0x038u
#define REG_QUEUE_READY		0x044u
#define REG_QUEUE_NOTIFY	0x050u
#define REG_STATUS		0x070u
#define REG_QUEUE_DESC		0x080u
#define REG_QUEUE_DRIVER	0x090u
#define REG_QUEUE_DEVICE	0x0a0u

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

/* A ring's number of entries, and the offsets of its other two areas from its base. */
#define RING_SIZE      16
#define RING_AVAILABLE 0x200u
#define RING_USED      0x400u
/* of the socket device 3, entropy device, disk, network card 5, image, file system device 2,
 * balloon 3 */
#define RINGS 16

/* The driver's side of a queue, as it will be at this point of the script. */
struct guest_ring {
	unsigned slot, queue;
	uint64_t base; /* descriptors; the other two areas follow */
	uint32_t size;
	uint16_t available; /* the index when the script gets here */
	uint16_t used;
};

struct expectation {
	uint64_t command;
	uint64_t value;
	bool done; /* expect only that a wait ended */
	const char *what;
};

struct hostile_test;

struct hostile {
	const struct hostile_test *test;
	struct loop *loop;
	pthread_t loop_thread, flip_thread;
	bool loop_started, flip_started;
	atomic_bool flip_stop;
	struct guest_memory memory;
	struct vm vm;
	struct machine_devices devices;
	struct console console;
	struct vcpu vcpu[2];
	unsigned vcpus;

	uint64_t commands; /* in the script so far */
	uint32_t headers;
	struct expectation *expect;
	unsigned expected;
	unsigned flips;
	struct guest_ring ring[RINGS];

	/* under end_lock */
	pthread_mutex_t end_lock;
	pthread_cond_t end_changed;
	bool ended;   /* the script's last command ran */
	bool stopped; /* a vCPU cannot go on */
	enum vcpu_end how;
	char message[1024];
	atomic_uint resets, power_offs;

	unsigned accepted;
	char failure[1024]; /* the first one */
};

struct hostile_test {
	const char *name;
	void (*setup)(
		struct hostile *h); /* the monitor's side, before anything runs; may be NULL */
	void (*build)(struct hostile *h);
	void (*check)(struct hostile *h);    /* afterwards; may be NULL */
	uint64_t (*tell)(struct hostile *h); /* for HOSTILE_DEVICE_TELL; may be NULL */
	bool second_cpu;		     /* a second processor stores the flips */
	bool several_pairs; /* the network card has two pairs and a control queue */
	bool flip_thread;   /* a thread of the monitor stores the flips, at its own speed */
	bool may_stop;	    /* the guest does something that a processor cannot do */
	uint64_t growth;    /* bytes of private memory that the monitor may take; 0: 2 MiB */
};

/* Fails the test; the first message is kept. */
void hostile_fail(struct hostile *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Runs each test and prints `ok`, `not ok` or `skip`. Returns the exit status. */
int hostile_run_all(const struct hostile_test *test, size_t count);

#define HOSTILE_MAIN(tests)                                       \
	int main(void)                                            \
	{                                                         \
		return hostile_run_all(tests, ARRAY_SIZE(tests)); \
	}

/* --- scripts (script.c): each returns the number of its command ------------------------------- */

uint64_t script_read(struct hostile *h, unsigned size, uint64_t address);
uint64_t script_write(struct hostile *h, unsigned size, uint64_t address, uint64_t value);
uint64_t script_in(struct hostile *h, unsigned size, uint16_t port);
uint64_t script_out(struct hostile *h, unsigned size, uint16_t port, uint32_t value);
uint64_t script_out_string(struct hostile *h, uint16_t port, uint64_t from, uint64_t count);

/* Polls, a bounded number of times, until the 16 (32) bits at address are value. */
uint64_t script_wait(struct hostile *h, uint64_t address, uint16_t value);
uint64_t script_wait32(struct hostile *h, uint64_t address, uint32_t value);
uint64_t script_wait_briefly(struct hostile *h, uint64_t address, uint16_t value, uint64_t looks);

/* Stores the 16 bits at `from`, plus add, at `to`. */
uint64_t script_copy_add(struct hostile *h, uint64_t from, uint16_t add, uint64_t to);

/* Repeats all commands from `command` on, so that they run `times` times in total. */
uint64_t script_repeat(struct hostile *h, uint64_t command, uint64_t times);

/* Jumps to an address; loads CR3. */
uint64_t script_jump(struct hostile *h, uint64_t address);
uint64_t script_load_cr3(struct hostile *h, uint64_t value);

/* Expects a read's value (of its last round), or that a wait has seen its value. */
void script_expect(struct hostile *h, uint64_t command, uint64_t value, const char *what);
void script_expect_done(struct hostile *h, uint64_t command, const char *what);
uint64_t script_result(struct hostile *h, uint64_t command);

/* Adds a pair for the second processor or the thread: 16 bits at an address below 64 KiB. */
void script_flip(struct hostile *h, uint16_t address, uint16_t value);

/* Ends the script; called by the harness. */
void script_finish(struct hostile *h);

/* --- a driver as a script (driver.c) ---------------------------------------------------------- */

uint64_t driver_register(unsigned slot, uint32_t offset);
void driver_write(struct hostile *h, unsigned slot, uint32_t offset, uint32_t value);
void driver_write_address(struct hostile *h, unsigned slot, uint32_t offset, uint64_t value);

/* Takes a device from reset to these status bits; sets the queues up before DRIVER_OK. */
void driver_go_to(struct hostile *h, unsigned slot, uint32_t status);
static inline void driver_bring_up(struct hostile *h, unsigned slot)
{
	driver_go_to(h, slot, ST_LIVE);
}

/* Writes the queue's three addresses and its size, but not QueueReady. */
void driver_set_queue(struct hostile *h, struct guest_ring *ring, uint32_t size);
struct guest_ring *driver_ring(struct hostile *h, unsigned slot, unsigned queue);

void driver_descriptor(struct hostile *h, const struct guest_ring *ring, unsigned index,
		       uint64_t address, uint32_t length, uint16_t flags, uint16_t next);
void driver_table_entry(struct hostile *h, uint64_t table, unsigned index, uint64_t address,
			uint32_t length, uint16_t flags, uint16_t next);
void driver_offer(struct hostile *h, struct guest_ring *ring, uint16_t head);
void driver_kick(struct hostile *h, const struct guest_ring *ring);

/* Waits until the device has used `count` more chains; what: the message if it does not. */
void driver_expect_used(struct hostile *h, struct guest_ring *ring, unsigned count,
			const char *what);

/* Offers the chain at descriptor 0, which is offered once already, until it fills the ring. */
void driver_fill(struct hostile *h, struct guest_ring *ring);
/* The same, with so many doorbells afterwards; expects that the device uses all. */
void driver_flood(struct hostile *h, struct guest_ring *ring, unsigned doorbells);

void driver_expect_status(struct hostile *h, unsigned slot, uint32_t status, const char *what);

/* Waits for a status, since another thread handles doorbells. */
void driver_expect_status_soon(struct hostile *h, unsigned slot, uint32_t status, const char *what);

/* Brings the entropy device up, if it is not, requests bytes from it, and expects them. */
void driver_expect_rng(struct hostile *h);
void driver_ask_rng(struct hostile *h);

/* --- packets of the socket device (packets.c) ------------------------------------------------- */

/* The ports that listen in the monitor after packets_listen(); nothing listens on PORT_UNUSED. */
#define PORT_SINK   1000u /* reads all it gets */
#define PORT_SOURCE 1001u /* writes as much as it may */
#define PORT_DEAF   1002u /* accepts connections and reads nothing */
#define PORT_UNUSED 1003u

/* Payloads come from here: 1 MiB. */
#define PACKET_PAYLOAD (HOSTILE_BUFFERS + 0x80000u)

/* For a test's setup. */
void packets_listen(struct hostile *h);

/* Brings the device up and gives it all receive buffers. */
void packets_begin(struct hostile *h);

/* A header with the right CIDs and type, and 64 KiB of window. */
struct vsock_header packet(uint16_t op, uint32_t from_port, uint32_t to_port);

/* Puts a header into memory before the script begins. */
void packet_put(struct hostile *h, const struct vsock_header *header, uint64_t at);

/*
 * Sends a header and then payload bytes, whatever length the header gives, waits until the device
 * has used the chain, and gives all receive buffers back. cut: send only so many bytes of the
 * header.
 */
void packet_send_cut(struct hostile *h, const struct vsock_header *header, uint32_t payload,
		     uint32_t cut);
void packet_send(struct hostile *h, const struct vsock_header *header, uint32_t payload);

/* Expects that the next packet has this op. Only valid if all packets before have been checked. */
void packet_expect(struct hostile *h, uint16_t op, const char *what);

/*
 * Resets the device and expects it to accept a connection to the sink, and to refuse one to a port
 * where nothing listens.
 */
void packets_expect_alive(struct hostile *h);

#endif
