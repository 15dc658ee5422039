/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the socket device share.
 *
 *   packet, credit, state, table, deadline   parts without side effects
 *   stream.c    the life of a stream, and its memory
 *   receive.c   what packets from the guest do
 *   send.c      turns: what streams owe and have for the guest goes into its receive buffers
 *   device.c    the virtio device and the work task
 *   unix.c      a host end that is a Unix socket;  listener.c: who connects to us and the handshake
 *   inproc.c    a host end in this process
 *   save.c      streams that go on in another process
 *
 * A stream has two sides. The guest's side is a state (state.h). The host's side is an end,
 * attached until it is released. The stream is freed when the state is VSOCK_GONE and no end is
 * attached; the memory stays until the work task ends, so that a caller may still look at it.
 *
 * Everything that takes time is left to the work task: event handlers set flags and defer it. It
 * takes a bounded number of packets from the guest, calls the in-process endpoints, gives out a
 * bounded number of turns, and defers itself again if something is left.
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

/* Linux fills the whole receive queue at boot, a buffer of 4 KiB an entry. */
#define VSOCK_RX_QUEUE_SIZE    64
#define VSOCK_TX_QUEUE_SIZE    64
#define VSOCK_EVENT_QUEUE_SIZE 2

/*
 * What a stream may send before the next one has its turn, in how many calls of give(), and how
 * many buffers each offers at most.
 */
#define VSOCK_TURN_BYTES (64u << 10)
#define VSOCK_TURN_CALLS 16
#define VSOCK_TURN_SLOTS 20
#define VSOCK_TURN_IOVS	 (VSOCK_TURN_SLOTS + VIRTIO_CHAIN_PIECES)

/* Bounds of one run of the work task. */
#define VSOCK_WORK_PACKETS 64
#define VSOCK_WORK_TURNS   64

/*
 * Memory. Every stream is promised VSOCK_STREAM_MIN bytes, which is its window, or half of which is
 * an in-process end's buffer. What goes beyond comes out of a pool that all share. A stream that
 * uses its window doubles it, up to VSOCK_STREAM_BUFFER, while there is something in the pool; a
 * new one begins with VSOCK_WINDOW_START while half of the pool is free.
 */
#define VSOCK_STREAM_MIN   (8u << 10)
#define VSOCK_WINDOW_START (64u << 10)
#define VSOCK_POOL	   (32u << 20)

/* RSTs owed for connections that don't exist. When full, the guest's packets wait. */
#define VSOCK_STRAYS 64

/*
 * The guest need not hear at once that its packets were taken: it is told together with the next
 * packet for it, or when a quarter of the transmit queue is waiting, or after this time.
 */
#define VSOCK_TAKEN_NS (10 * UINT64_C(1000000))

#define VSOCK_CONNECT_NS   (2000 * UINT64_C(1000000))  /* a request waits so long for its answer */
#define VSOCK_LINGER_NS	   (8000 * UINT64_C(1000000))  /* a SHUTDOWN, for its RST */
#define VSOCK_BLOCKED_NS   (250 * UINT64_C(1000000))   /* without credit, until we ask */
#define VSOCK_PUBLISHED_NS (30 * UINT64_C(1000000000)) /* nobody has to wait for less here */
#define VSOCK_RETRY_NS	   (20 * UINT64_C(1000000))    /* a listener's backlog is full: again */
#define VSOCK_RETRIES	   100

struct vsock_listener; /* listener.c */

/* Packets owed to the guest. A SHUTDOWN is not among them: it follows from the stream itself. */
#define VSOCK_OWE_REQUEST	 1u
#define VSOCK_OWE_RESPONSE	 2u
#define VSOCK_OWE_RST		 4u
#define VSOCK_OWE_CREDIT	 8u
#define VSOCK_OWE_CREDIT_REQUEST 16u

/*
 * What a host end does. When it is not attached any more, only has_data(), at_end(), give() and
 * release() are called.
 */
struct vsock_end_ops {
	/* Takes bytes from the guest: how many, -EAGAIN, or another -errno: it reads no more. */
	ssize_t (*take)(struct vsock_stream *stream, const struct iovec *iov, unsigned count);
	/* Gives bytes for the guest: how many, 0 at the end, -EAGAIN, or -errno: it has vanished.
	 */
	ssize_t (*give)(struct vsock_stream *stream, const struct iovec *iov, unsigned count);
	/* Whether give() may have bytes or the end. */
	bool (*has_data)(struct vsock_stream *stream);
	/* Whether give() has the end, and no bytes before it. Only called when has_data() is true.
	 */
	bool (*at_end)(struct vsock_stream *stream);
	/* The guest has accepted. */
	void (*established)(struct vsock_stream *stream);
	/* Bytes have been stored in from_guest. */
	void (*stored)(struct vsock_stream *stream);
	/* The guest's last byte has been taken, or was lost: end of file. Called once. */
	void (*finish)(struct vsock_stream *stream);
	/* The guest receives no more: nobody will call give() again. */
	void (*unwanted)(struct vsock_stream *stream);
	/* There is nothing left to do for this stream: detaches the end, now or later. */
	void (*gone)(struct vsock_stream *stream);
	/* The stream is freed: what the end still holds goes too. */
	void (*release)(struct vsock_stream *stream);
};

struct vsock_unix_end {
	struct loop_source source; /* edge triggered */
	bool readable, writable;   /* as far as known: until a call says EAGAIN */
	bool hangup;		   /* the end of file is in sight */
	bool write_shut;	   /* we have shut down our writing side */
	bool silent;		   /* a published port's: nothing is said but what the guest says */
	unsigned tries;		   /* of a connect that met a full backlog */
	struct vsock_visit *visit; /* a published port's client that somebody is told of */
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
	struct vsock_deadline deadline; /* the one that the state has */
	enum vsock_state state;
	bool freed;
	bool saved; /* by vsock_stream_save(), until vsock_save_others() */

	/* the guest's side */
	unsigned owed;
	uint32_t guest_shut; /* VIRTIO_VSOCK_SHUTDOWN_* that the guest has said */
	uint32_t told_shut;  /* that we have said */
	struct vsock_credit credit;
	struct vsock_window window;
	bool asked_credit; /* a CREDIT_REQUEST was sent in this time without credit */
	unsigned batch;	   /* buffers to offer to the next give() */

	/* the host's side */
	const struct vsock_end_ops *end;
	bool attached;
	bool host_eof;		/* give() has said that there is no more */
	bool host_deaf;		/* take() has said that it reads no more */
	bool finished;		/* end->finish() was called */
	struct ring from_guest; /* of window.alloc bytes */
	uint32_t from_pool;	/* bytes of vsock->pool_used that are this stream's */
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
	int unix_directory; /* where the sockets of ports are; opened once */
	char unix_name[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* they are NAME_PORT in it */
	struct vsock_service *services;

	struct vsock_table table;
	struct list streams, ready, news, freed;
	struct vsock_deadlines connecting, retrying, blocked, lingering;
	struct vsock_deadlines published_connecting;
	uint32_t pool_used;

	bool packets_waiting; /* the transmit queue may hold packets */
	unsigned taken;	      /* packets given back that the guest has not been told of */
	struct loop_timer tell_taken;
	bool reset_owed; /* a transport reset event */
	struct vsock_stray stray[VSOCK_STRAYS];
	unsigned stray_head, stray_count;

	struct virtio_chain packet;		    /* the one at hand, from the guest */
	struct virtio_chain slot[VSOCK_TURN_SLOTS]; /* to the guest */
	struct iovec iov[VSOCK_TURN_IOVS];
	struct vsock_stats stats;
};

/* --- stream.c --- */

/*
 * A new stream, or NULL (too many, or out of memory; counted as refused). buffer: bytes of what it
 * is promised that the end takes. It is in the table, and nobody has been told.
 */
struct vsock_stream *vsock_stream_new(struct vsock *vsock, uint32_t host_port, uint32_t guest_port,
				      enum vsock_state state, const struct vsock_end_ops *end,
				      uint32_t buffer);
/* Takes bytes from the pool: false if there are not enough. */
bool vsock_stream_take_pool(struct vsock_stream *stream, uint32_t bytes);
/* Changes a ring's size, keeping its bytes: false (and no change) if memory is out. */
bool vsock_ring_resize(struct ring *ring, size_t size);

/* The host's end has answered the guest's request (VSOCK_ANSWERING): good or not. */
void vsock_stream_answer(struct vsock_stream *stream, bool good);

/* Tries to give what is stored to the end; then looks at what that changes. */
void vsock_stream_flush(struct vsock_stream *stream);
/* The host reads no more: what is stored for it is lost. */
void vsock_stream_host_deaf(struct vsock_stream *stream);
/* Looks whether a direction, a side or the stream has ended, and whether the guest is owed credit.
 */
void vsock_stream_progress(struct vsock_stream *stream);

/* Owes the guest an RST; the end is told that the guest has gone. */
void vsock_stream_reset(struct vsock_stream *stream);
/* The guest does not know the stream any more. */
void vsock_stream_end(struct vsock_stream *stream);
/* SHUTDOWN in both directions, and a bounded wait for the RST. */
void vsock_stream_begin_closing(struct vsock_stream *stream);
/* The end is no longer there. */
void vsock_stream_detached(struct vsock_stream *stream);

/* Time-outs. */
void vsock_stream_connect_expired(struct vsock_deadline *deadline);
void vsock_stream_linger_expired(struct vsock_deadline *deadline);
void vsock_stream_blocked_expired(struct vsock_deadline *deadline);

/* --- receive.c --- */

/* A packet from the guest; may add one stray, for which there is room. */
void vsock_take_packet(struct vsock *vsock, const struct virtio_chain *chain);

/* --- send.c --- */

/* Queues the stream for a turn, if it wants one. */
void vsock_stream_ready(struct vsock_stream *stream);
/* Remembers an RST for a connection that does not exist; there is room. */
void vsock_send_stray(struct vsock *vsock, const struct vsock_header *about);
/* Gives out turns; true if something can still be sent now. */
bool vsock_send_turns(struct vsock *vsock);

/* --- device.c --- */

/* Ends all streams without a packet: the guest has forgotten them. */
void vsock_forget_streams(struct vsock *vsock);
/* Tells the driver of used receive buffers, if it wants to know, and then of taken packets too. */
void vsock_interrupt_receive(struct vsock *vsock);

/* --- unix.c --- */

/* The end of a stream for a connected descriptor, which the stream owns from now on. 0 or -errno.
 */
int vsock_unix_attach(struct vsock_stream *stream, int fd);
/*
 * Connects a stream in VSOCK_ANSWERING to the Unix socket of its host port: 0, or -errno if nobody
 * is there. It may be answered later.
 */
int vsock_unix_connect(struct vsock_stream *stream);
void vsock_unix_retry_expired(struct vsock_deadline *deadline);
extern const struct vsock_end_ops vsock_unix_end_ops;

/* --- listener.c --- */

/* port: all clients go there, once vsock_publish_open() was called; 0: as their handshake says. */
int vsock_listener_create(struct vsock_listener **out, struct vsock *vsock, const char *path,
			  uint32_t port, struct err *err);
void vsock_listener_destroy(struct vsock_listener *listener);
/* All of vsock_publish(). */
void vsock_publish_end(struct vsock *vsock);
/* A client of theirs has gone; NULL is fine. */
void vsock_visit_end(struct vsock *vsock, struct vsock_visit *visit);
/* How long a handshake may take (tests). */
void vsock_listener_set_patience(struct vsock_listener *listener, uint64_t ns);

/* --- inproc.c --- */

/* A guest's request to a port that has a service: 0 and the stream, or -errno if it is refused. */
int vsock_inproc_accept(struct vsock *vsock, const struct vsock_service *service,
			uint32_t guest_port, struct vsock_stream **out);
/* Calls the endpoints that have news; bounded by the number of streams. */
void vsock_inproc_tell(struct vsock *vsock);
/* A stream with an endpoint that is still to be set; NULL: see vsock_stream_new(). */
struct vsock_stream *vsock_inproc_new(struct vsock *vsock, uint32_t host_port, uint32_t guest_port,
				      enum vsock_state state);
/* The endpoint shall look whether there is something to do. */
void vsock_inproc_look(struct vsock_stream *stream);
extern const struct vsock_end_ops vsock_inproc_end_ops;

#endif
