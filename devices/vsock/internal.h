/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the files of the socket device.
 *
 *   packet, credit, state, table, deadline   parts without side effects
 *   stream.c    the life of a stream, and its memory
 *   receive.c   what packets from the guest do
 *   send.c      turns: what streams owe and have for the guest goes into its receive buffers
 *   device.c    the virtio device and the work task
 *   unix.c      a host end that is a Unix socket;  listener.c: its clients and the handshake
 *   inproc.c    a host end in this process
 *   save.c      streams that continue in another process
 *
 * A stream has two sides. The guest's side is a state (state.h). The host's side is an end,
 * attached until it is released. The stream is freed when the state is VSOCK_GONE and no end is
 * attached; its memory stays until the work task ends, so that callers may still read it.
 *
 * The work task does everything that takes time: event handlers set flags and defer it. It takes a
 * bounded number of packets from the guest, calls the in-process endpoints, gives a bounded number
 * of turns, and defers itself again if work is left.
 */
#ifndef CORDON_VSOCK_INTERNAL_H
#define CORDON_VSOCK_INTERNAL_H

#include <sys/types.h>
#include <sys/un.h>

#include "devices/vsock/credit.h"
#include "devices/vsock/deadline.h"
#include "devices/vsock/list.h"
#include "devices/vsock/packet.h"
#include "devices/vsock/state.h"
#include "devices/vsock/table.h"
#include "devices/vsock/vsock.h"
#include "vmm/base/ring.h"

enum { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_QUEUES };

/* Linux fills the whole receive queue at boot, with a buffer of 4 KiB for each entry. */
#define VSOCK_RX_QUEUE_SIZE    64
#define VSOCK_TX_QUEUE_SIZE    64
#define VSOCK_EVENT_QUEUE_SIZE 2

/*
 * Limits of a stream's turn: bytes, calls of give(), and buffers offered to each call.
 */
#define VSOCK_TURN_BYTES (64u << 10)
#define VSOCK_TURN_CALLS 16
#define VSOCK_TURN_SLOTS 20
#define VSOCK_TURN_IOVS	 (VSOCK_TURN_SLOTS + VIRTIO_CHAIN_SEGMENTS)

/* Bounds of one run of the work task. */
#define VSOCK_WORK_PACKETS 64
#define VSOCK_WORK_TURNS   64

/* Packets of up to so many bytes wait for those after them: one system call passes all on. */
#define VSOCK_GATHER_BYTES (16u << 10)

/*
 * Memory. Every stream is guaranteed VSOCK_STREAM_MIN bytes for its window; an in-process end uses
 * half of them for its own buffer. Everything beyond comes from a shared pool. A stream that uses
 * its window doubles it, up to VSOCK_STREAM_BUFFER, while the pool has bytes left; a new one starts
 * with VSOCK_WINDOW_START while half of the pool is free.
 */
#define VSOCK_STREAM_MIN   (8u << 10)
#define VSOCK_WINDOW_START (64u << 10)
#define VSOCK_POOL	   (32u << 20)

/* RSTs owed for connections that don't exist. When the array is full, the guest's packets wait. */
#define VSOCK_STRAYS 64

/*
 * The guest is not interrupted at once for packets taken, but together with the next packet to it,
 * when a quarter of the transmit queue waits to be reported, or after this time.
 */
#define VSOCK_TAKEN_NS (10 * UINT64_C(1000000))

#define VSOCK_CONNECT_NS   (2000 * UINT64_C(1000000))  /* from REQUEST to RESPONSE */
#define VSOCK_LINGER_NS	   (8000 * UINT64_C(1000000))  /* from SHUTDOWN to RST */
#define VSOCK_BLOCKED_NS   (250 * UINT64_C(1000000))   /* without credit, until a CREDIT_REQUEST */
#define VSOCK_PUBLISHED_NS (30 * UINT64_C(1000000000)) /* from REQUEST to RESPONSE, published */
#define VSOCK_RETRY_NS	   (20 * UINT64_C(1000000))    /* retry when a listener's backlog is full */
#define VSOCK_RETRIES	   100

struct vsock_listener; /* listener.c */

/* Packets owed to the guest. A SHUTDOWN is not among them: it follows from the stream itself. */
#define VSOCK_OWE_REQUEST	 1u
#define VSOCK_OWE_RESPONSE	 2u
#define VSOCK_OWE_RST		 4u
#define VSOCK_OWE_CREDIT	 8u
#define VSOCK_OWE_CREDIT_REQUEST 16u

/*
 * The operations of a host end. Once the end is detached, only has_data(), at_end(), give() and
 * release() are called.
 */
struct vsock_end_ops {
	/* Takes bytes from the guest. How many, -EAGAIN, or another -errno: no longer reads. */
	ssize_t (*take)(struct vsock_stream *stream, const struct iovec *iov, unsigned count);
	/* Gives bytes for the guest. How many, 0 at end of file, -EAGAIN, or -errno: gone. */
	ssize_t (*give)(struct vsock_stream *stream, const struct iovec *iov, unsigned count);
	/* Whether give() may have bytes or the end of file. */
	bool (*has_data)(struct vsock_stream *stream);
	/* Whether give() is at the end of file, no bytes left. Only called if has_data(). */
	bool (*at_end)(struct vsock_stream *stream);
	/* The guest has accepted the connection. */
	void (*established)(struct vsock_stream *stream);
	/* Bytes have been stored in from_guest. */
	void (*stored)(struct vsock_stream *stream);
	/* End of file: the guest's last byte was taken or lost. Called once. */
	void (*finish)(struct vsock_stream *stream);
	/* The guest no longer receives: give() will not be called again. */
	void (*unwanted)(struct vsock_stream *stream);
	/* The stream has nothing left to do: detach the end, now or later. */
	void (*gone)(struct vsock_stream *stream);
	/* The stream is freed: release everything that the end still holds. */
	void (*release)(struct vsock_stream *stream);
};

struct vsock_unix_end {
	struct loop_source source; /* edge triggered */
	bool readable, writable;   /* taken to hold until a call returns EAGAIN */
	bool hangup;		   /* end of file follows the buffered bytes */
	bool write_shut;	   /* we have shut down our writing side */
	bool silent;		   /* a published port: no "OK" line */
	unsigned tries;		   /* to connect while the listener's backlog was full */
	struct vsock_visit *visit; /* the client of a published port, if visit_ops are set */
};

struct vsock_inproc_end {
	const struct vsock_stream_ops *ops;
	void *arg;
	struct ring to_guest;
	struct list news_link; /* in vsock->news while news is not 0 */
	unsigned news;	       /* which callbacks are due */
	bool write_shut, want_room, told_closed;
};

struct vsock_stream {
	struct vsock *vsock;
	struct vsock_ports ports;
	struct list link;		/* in vsock->streams, or vsock->freed */
	struct list ready;		/* in vsock->ready while it wants a turn */
	struct vsock_deadline deadline; /* of the current state */
	enum vsock_state state;
	bool freed;
	bool saved; /* by vsock_stream_save(), until vsock_save_others() */

	/* the guest's side */
	unsigned owed;
	uint32_t guest_shut; /* VIRTIO_VSOCK_SHUTDOWN_* flags from the guest */
	uint32_t told_shut;  /* the flags that we have sent */
	struct vsock_credit credit;
	struct vsock_window window;
	bool asked_credit; /* a CREDIT_REQUEST was sent since the credit ran out */
	unsigned batch;	   /* buffers to offer to the next give() */

	/* the host's side */
	const struct vsock_end_ops *end;
	bool attached;
	bool host_eof;		/* give() has returned 0 */
	bool host_deaf;		/* take() has failed: the host no longer reads */
	bool finished;		/* end->finish() was called */
	struct ring from_guest; /* of window.alloc bytes */
	uint32_t from_pool;	/* this stream's share of vsock->pool_used */
	union {
		struct vsock_unix_end unix_end;
		struct vsock_inproc_end inproc;
	};
};

struct vsock_stray {
	uint64_t cid;
	uint32_t host_port, guest_port;
	uint16_t type;
};

struct vsock_service { /* vsock_listen() */
	struct vsock_service *next;
	uint32_t port;
	int (*accept)(void *arg, struct vsock_stream *stream);
	void *arg;
};

struct vsock {
	struct virtio_device device; /* first: the device is the vsock */
	struct loop *loop;
	struct loop_task work;
	uint64_t guest_cid;
	struct vsock_listener *listener;  /* NULL: no Unix sockets */
	struct vsock_listener *published; /* those of published ports */
	const struct vsock_visit_ops *visit_ops;
	void *visit_arg;
	uint64_t visits;
	struct vsock_visit *ended, **ended_last; /* visits whose end is to be reported */
	int unix_directory; /* the directory of the sockets of ports; opened once */
	char unix_name[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* they are named NAME_PORT */
	struct vsock_service *services;

	struct vsock_table table;
	struct list streams, ready, news, freed;
	struct vsock_deadlines connecting, retrying, blocked, lingering;
	struct vsock_deadlines published_connecting;
	uint32_t pool_used;

	bool packets_waiting;		/* the transmit queue may hold packets */
	bool more_packets;		/* after the current one; false outside of take_packets() */
	struct vsock_stream *gathering; /* has stored bytes to pass on; NULL likewise */
	unsigned taken;			/* packets returned without an interrupt so far */
	struct loop_timer tell_taken;
	bool reset_owed; /* a transport reset event */
	struct vsock_stray stray[VSOCK_STRAYS];
	unsigned stray_head, stray_count;

	struct virtio_chain packet;		    /* the current one from the guest */
	struct virtio_chain slot[VSOCK_TURN_SLOTS]; /* to the guest */
	struct iovec iov[VSOCK_TURN_IOVS];
	struct vsock_stats stats;
};

/* --- stream.c --- */

/*
 * Creates a stream and adds it to the table; sends nothing. buffer: the part of VSOCK_STREAM_MIN
 * that the end uses. NULL, counted as refused: too many streams, or out of memory.
 */
struct vsock_stream *vsock_stream_new(struct vsock *vsock, uint32_t host_port, uint32_t guest_port,
				      enum vsock_state state, const struct vsock_end_ops *end,
				      uint32_t buffer);
/* Takes bytes from the pool: false if there are not enough. */
bool vsock_stream_take_pool(struct vsock_stream *stream, uint32_t bytes);
/* Resizes a ring and keeps its bytes. False, and no change, if out of memory. */
bool vsock_ring_resize(struct ring *ring, size_t size);

/* The host's end has accepted (good) or refused the guest's request (VSOCK_ANSWERING). */
void vsock_stream_answer(struct vsock_stream *stream, bool good);

/* Offers stored bytes to the end, then calls vsock_stream_progress(). */
void vsock_stream_flush(struct vsock_stream *stream);
/* The host no longer reads: discards the bytes stored for it. */
void vsock_stream_host_deaf(struct vsock_stream *stream);
/* Checks whether a direction, a side or the stream has ended, and whether to send credit. */
void vsock_stream_progress(struct vsock_stream *stream);

/* Owes the guest an RST, and notifies the end that the guest is gone. */
void vsock_stream_reset(struct vsock_stream *stream);
/* The guest no longer knows the stream. */
void vsock_stream_end(struct vsock_stream *stream);
/* SHUTDOWN in both directions, and a bounded wait for the RST. */
void vsock_stream_begin_closing(struct vsock_stream *stream);
/* The end has detached. */
void vsock_stream_detached(struct vsock_stream *stream);

/* Time-outs. */
void vsock_stream_connect_expired(struct vsock_deadline *deadline);
void vsock_stream_linger_expired(struct vsock_deadline *deadline);
void vsock_stream_blocked_expired(struct vsock_deadline *deadline);

/* --- receive.c --- */

/* Handles a packet from the guest; may add one stray, for which there is room. */
void vsock_take_packet(struct vsock *vsock, const struct virtio_chain *chain);
/* Passes on the bytes of packets that waited for others. */
void vsock_pass_gathered(struct vsock *vsock);

/* --- send.c --- */

/* Queues the stream for a turn, if it wants one. */
void vsock_stream_ready(struct vsock_stream *stream);
/* Remembers an RST for a connection that does not exist; there is room. */
void vsock_send_stray(struct vsock *vsock, const struct vsock_header *about);
/* Gives turns; true if something is left that can be sent now. */
bool vsock_send_turns(struct vsock *vsock);

/* --- device.c --- */

/* Ends all streams without a packet: the guest has forgotten them. */
void vsock_forget_streams(struct vsock *vsock);
/* Interrupts for used receive buffers if the driver wants it; that also reports taken packets. */
void vsock_interrupt_receive(struct vsock *vsock);

/* --- unix.c --- */

/* Attaches a connected descriptor, which the stream then owns, as the end of a stream. 0 or -errno.
 */
int vsock_unix_attach(struct vsock_stream *stream, int fd);
/*
 * Connects a stream in VSOCK_ANSWERING to the Unix socket of its host port. 0, or -errno if nothing
 * listens there. With 0 the connection may still be pending.
 */
int vsock_unix_connect(struct vsock_stream *stream);
void vsock_unix_retry_expired(struct vsock_deadline *deadline);
extern const struct vsock_end_ops vsock_unix_end_ops;

/* --- listener.c --- */

/* port: the guest port of all clients, after vsock_publish_open(); 0: the handshake names it. */
int vsock_listener_create(struct vsock_listener **out, struct vsock *vsock, const char *path,
			  uint32_t port, struct err *err);
void vsock_listener_destroy(struct vsock_listener *listener);
/* Destroys all listeners of vsock_publish(). */
void vsock_publish_end(struct vsock *vsock);
/* A client of a published socket has gone; NULL is allowed. */
void vsock_visit_end(struct vsock *vsock, struct vsock_visit *visit);
/* Reports the visits that have ended. */
void vsock_visits_tell(struct vsock *vsock);
/* Sets the time limit of a handshake (tests). */
void vsock_listener_set_patience(struct vsock_listener *listener, uint64_t ns);

/* --- inproc.c --- */

/* Handles a guest's request to a port that has a service. 0 and the stream, or -errno: refused. */
int vsock_inproc_accept(struct vsock *vsock, const struct vsock_service *service,
			uint32_t guest_port, struct vsock_stream **out);
/* Makes the due callbacks of endpoints, at most one round for each stream. */
void vsock_inproc_tell(struct vsock *vsock);
/* Creates a stream whose endpoint is set later. NULL: see vsock_stream_new(). */
struct vsock_stream *vsock_inproc_new(struct vsock *vsock, uint32_t host_port, uint32_t guest_port,
				      enum vsock_state state);
/* Makes the endpoint's callbacks due, so that it checks the stream. */
void vsock_inproc_look(struct vsock_stream *stream);
extern const struct vsock_end_ops vsock_inproc_end_ops;

#endif
