/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket device, streams (virtio 1.2, section 5.10).
 *
 * The device sits between the guest's AF_VSOCK and two kinds of host ends:
 * - Unix sockets, in Firecracker's convention: a host program connects to PATH and sends
 *   "CONNECT <port>\n"; once the guest has accepted it reads "OK <host port>\n" and then bytes. A
 *   guest connection to CID 2, port P goes to the Unix socket PATH_P, or is reset if nobody is
 *   there.
 * - in-process endpoints: vsock_listen() takes guest connections to a port, and gives a
 *   struct vsock_stream, an ordered pair of bounded byte pipes.
 *
 * Every stream has one receive buffer (guest to host), which is the credit that the guest gets:
 * 4 KiB at least, VSOCK_STREAM_BUFFER at most; it grows while it is used. Buffers of all streams
 * together are bounded by 64 MiB. Bytes to the guest are read from the host's socket straight into
 * guest memory; only in-process endpoints have a second buffer. Streams that have something to send
 * take turns of 64 KiB. Nothing blocks; all runs in the loop's thread or under the device lock.
 *
 * Time-outs are those of Linux: a connection request waits 2 s for its answer, a close 8 s for the
 * guest's reset; then the stream is reset.
 */
#ifndef CORDON_VSOCK_H
#define CORDON_VSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/virtio/device.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"

#define VSOCK_HOST_CID	    2
#define VSOCK_GUEST_CID	    3
#define VSOCK_STREAM_BUFFER (256u << 10)
#define VSOCK_STREAMS_MAX   4096

struct vsock;
struct vsock_stream;

/*
 * What an in-process endpoint hears, from the loop's thread, never from inside one of the calls
 * below. Each may close the stream from inside, and may be NULL.
 */
struct vsock_stream_ops {
	/* There are bytes to read, or the guest has shut down its sending side (end of file). */
	void (*readable)(void *arg);
	/* There is room to write again, after a short write. */
	void (*writable)(void *arg);
	/*
	 * The stream is of no more use: both directions have ended, it was reset, or the guest went
	 * away. What the guest had sent before was read. Call vsock_stream_close() at last.
	 */
	void (*closed)(void *arg);
};

/*
 * unix_path: the host's Unix socket (see above), or NULL for in-process endpoints only. It is made
 * with mode 0600; one that is there is replaced only if nobody listens on it. 0 or -errno with a
 * message (EADDRINUSE, ENAMETOOLONG ...). The loop outlives the device; a descriptor is used for
 * each stream to a Unix socket.
 */
int vsock_create(struct vsock **out, struct loop *loop, uint64_t guest_cid, const char *unix_path,
		 struct err *err);
struct virtio_device *vsock_device(struct vsock *vsock);

/* Removes the Unix socket. In-process streams that are left are closed: closed() is called. */
void vsock_destroy(struct vsock *vsock);

/*
 * Takes guest connections to host port. accept gets a new stream, which it adopts with
 * vsock_stream_set_ops() and returns 0, or refuses with -errno (the guest sees a reset).
 * 0 or -EADDRINUSE.
 */
int vsock_listen(struct vsock *vsock, uint32_t port,
		 int (*accept)(void *arg, struct vsock_stream *stream), void *arg);

/*
 * Connects to a guest port; ops->writable says that it is established, ops->closed that it failed.
 * 0 or -ENOBUFS.
 */
int vsock_connect(struct vsock *vsock, uint32_t port, const struct vsock_stream_ops *ops, void *arg,
		  struct vsock_stream **out);

/*
 * A Unix socket whose clients are connected to one port of the guest, without a handshake: they see
 * the guest's bytes only, and a closed connection if the guest refuses it. Made as unix_path of
 * vsock_create() is, and removed with the device. Clients wait until vsock_publish_open() is
 * called, and then 30 s for the guest's answer. 0 or -errno with a message.
 */
int vsock_publish(struct vsock *vsock, const char *path, uint32_t port, struct err *err);
void vsock_publish_open(struct vsock *vsock);

/* A client's connection to such a socket. */
struct vsock_visit {
	const char *path;	       /* of the socket */
	uint32_t port;		       /* of the guest */
	uint64_t number;	       /* of the connection, from 1 on */
	uid_t uid;		       /* who the client is, by the kernel's word */
	pid_t pid;		       /* as it connected */
	uint64_t to_guest, from_guest; /* bytes that it sent, and got */
	uint64_t begun_ns;	       /* by loop_now_ns() */
};

struct vsock_visit_ops {
	/* One has come; false: it is hung up, and ended() is not called. */
	bool (*began)(void *arg, const struct vsock_visit *visit);
	/* It is over, whoever ended it. */
	void (*ended)(void *arg, const struct vsock_visit *visit);
};

/* Who is told of clients of published sockets, up to and with vsock_destroy(). */
void vsock_publish_watch(struct vsock *vsock, const struct vsock_visit_ops *ops, void *arg);

void vsock_stream_set_ops(struct vsock_stream *stream, const struct vsock_stream_ops *ops,
			  void *arg);

/* The guest's port of the connection. */
uint32_t vsock_stream_peer_port(const struct vsock_stream *stream);

/* Bytes read, 0 at end of file, -EAGAIN if there is nothing yet. Gives the guest credit again. */
long vsock_stream_read(struct vsock_stream *stream, void *to, size_t length);

/* Bytes taken (may be short), -EAGAIN if there is no room, -EPIPE if the guest reads no more. */
long vsock_stream_write(struct vsock_stream *stream, const void *from, size_t length);

/* No more writes: the guest reads an end of file after what is buffered. */
void vsock_stream_shutdown_write(struct vsock_stream *stream);

/*
 * Ends the stream and frees it, now or later: it may not be used after this. What was written is
 * still sent; what the guest sends is lost. A stream that is not open yet is reset.
 */
void vsock_stream_close(struct vsock_stream *stream);

/* Tells the guest that all connections are gone (VIRTIO_VSOCK_EVENT_TRANSPORT_RESET). */
void vsock_transport_reset(struct vsock *vsock);

/*
 * Streams of in-process endpoints that go on after a restore, instead of a transport's reset.
 * vsock_stream_save(): false if it is not open in both directions; then nothing was written. After
 * those come, by vsock_save_others(), the ports of all other connections that the guest has.
 */
struct pack;
struct unpack;
bool vsock_stream_save(struct vsock_stream *stream, struct pack *to);
void vsock_save_others(struct vsock *vsock, struct pack *to);

/*
 * In a restored device, from hostile bytes: the stream of host port goes on with this endpoint,
 * which is told to look at it; all the others are reset, one by one. 0, -EINVAL, -ENOMEM or
 * -ENOBUFS.
 */
int vsock_stream_restore(struct vsock *vsock, uint32_t port, struct unpack *from,
			 const struct vsock_stream_ops *ops, void *arg, struct vsock_stream **out);
int vsock_restore_others(struct vsock *vsock, struct unpack *from);

/* One of them, or one that was saved and is not wanted: 0 or -ENOBUFS. */
int vsock_restore_reset(struct vsock *vsock, uint32_t port, uint32_t guest_port);

struct vsock_stats {
	uint64_t bytes_to_guest, bytes_from_guest; /* payload */
	uint64_t packets_to_guest, packets_from_guest;
	uint64_t streams, streams_peak; /* now, and the most there were */
	uint64_t refused;	 /* connections, of either side, that found nobody or no room */
	uint64_t bad_packets;	 /* and receive buffers that are too small */
	uint64_t buffered_bytes; /* in all streams now */
};
void vsock_stats(const struct vsock *vsock, struct vsock_stats *out);

#endif
