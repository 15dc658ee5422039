/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket device, streams (virtio 1.2, section 5.10).
 *
 * The device connects the guest's AF_VSOCK with two kinds of host ends:
 * - Unix sockets, in Firecracker's convention: a host program connects to PATH and sends "CONNECT
 *   <port>\n"; once the guest has accepted, the program reads "OK <host port>\n" and then the
 *   guest's bytes. A guest connection to CID 2, port P goes to the Unix socket PATH_P, or is reset
 *   if nothing listens there.
 * - in-process endpoints: vsock_listen() accepts guest connections to a port, and passes a
 *   struct vsock_stream, an ordered pair of bounded byte pipes.
 *
 * Every stream has one receive buffer (guest to host), whose size is the guest's credit: at least 4
 * KiB, at most VSOCK_STREAM_BUFFER; it grows with use. All buffers together take at most 64 MiB.
 * Bytes to the guest are read from the host's socket straight into guest memory; only in-process
 * endpoints have a second buffer. Streams that have something to send take turns of 64 KiB. Nothing
 * blocks; everything runs on the loop's thread or under the device lock.
 *
 * Time-outs are those of Linux: a connection request waits 2 s for the response, a close 8 s for
 * the guest's RST; then the stream is reset.
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
 * Callbacks of an in-process endpoint, made on the loop's thread and never from inside one of the
 * calls below. Each may close the stream, and may be NULL.
 */
struct vsock_stream_ops {
	/* There are bytes to read, or the guest has shut down its sending side (end of file). */
	void (*readable)(void *arg);
	/* There is room to write again, after a short write. */
	void (*writable)(void *arg);
	/*
	 * The stream has ended: both directions are shut down, it was reset, or the guest is gone.
	 * All bytes that the guest had sent have been read. The endpoint must still call
	 * vsock_stream_close().
	 */
	void (*closed)(void *arg);
};

/*
 * unix_path: the host's Unix socket (see above), or NULL for in-process endpoints only. It gets
 * mode 0600; an existing socket is replaced only if nothing listens on it. 0 or -errno with a
 * message (EADDRINUSE, ENAMETOOLONG ...). The loop must outlive the device. Each stream to a Unix
 * socket uses a descriptor.
 */
int vsock_create(struct vsock **out, struct loop *loop, uint64_t guest_cid, const char *unix_path,
		 struct err *err);
struct virtio_device *vsock_device(struct vsock *vsock);

/* Removes the Unix socket and ends the remaining in-process streams, calling closed() of each. */
void vsock_destroy(struct vsock *vsock);

/*
 * Accepts guest connections to a host port. accept gets the new stream, and either adopts it with
 * vsock_stream_set_ops() and returns 0, or refuses it with -errno (the guest sees a reset). 0 or
 * -EADDRINUSE.
 */
int vsock_listen(struct vsock *vsock, uint32_t port,
		 int (*accept)(void *arg, struct vsock_stream *stream), void *arg);

/*
 * Connects to a guest port. Calls ops->writable when the connection is established, ops->closed if
 * it fails. 0 or -ENOBUFS.
 */
int vsock_connect(struct vsock *vsock, uint32_t port, const struct vsock_stream_ops *ops, void *arg,
		  struct vsock_stream **out);

/*
 * Creates a Unix socket whose clients are connected to one port of the guest, without a handshake:
 * they read only the guest's bytes, and see the connection closed if the guest refuses it. The
 * socket is created like unix_path of vsock_create(), and removed with the device. Clients wait
 * until vsock_publish_open(), and then 30 s for the guest's response. 0 or -errno with a message.
 */
int vsock_publish(struct vsock *vsock, const char *path, uint32_t port, struct err *err);
void vsock_publish_open(struct vsock *vsock);

/* A client's connection to such a socket. */
struct vsock_visit {
	const char *path;	       /* of the socket */
	uint32_t port;		       /* of the guest */
	uint64_t number;	       /* of the connection, from 1 on */
	uid_t uid;		       /* the client's, from SO_PEERCRED */
	pid_t pid;		       /* the client's, when it connected */
	uint64_t to_guest, from_guest; /* bytes sent and received by the client */
	uint64_t begun_ns;	       /* loop_now_ns() */
	struct vsock_visit *next;      /* private to the device */
};

struct vsock_visit_ops {
	/* A client has connected. false: disconnect it, and do not call ended(). */
	bool (*began)(void *arg, const struct vsock_visit *visit);
	/* Either side has ended the connection. From the event loop. */
	void (*ended)(void *arg, const struct vsock_visit *visit);
};

/* Sets the callbacks for clients of published sockets; vsock_destroy() may still call them. */
void vsock_publish_watch(struct vsock *vsock, const struct vsock_visit_ops *ops, void *arg);

void vsock_stream_set_ops(struct vsock_stream *stream, const struct vsock_stream_ops *ops,
			  void *arg);

/* The guest port of the connection. */
uint32_t vsock_stream_peer_port(const struct vsock_stream *stream);

/* Returns the bytes read, 0 at end of file, -EAGAIN if there are none yet. Returns credit to the
 * guest. */
long vsock_stream_read(struct vsock_stream *stream, void *to, size_t length);

/*
 * Returns the bytes taken (may be fewer than length), -EAGAIN if there is no room, -EPIPE if the
 * guest no longer reads.
 */
long vsock_stream_write(struct vsock_stream *stream, const void *from, size_t length);

/* No more writes: the guest reads an end of file after what is buffered. */
void vsock_stream_shutdown_write(struct vsock_stream *stream);

/*
 * Ends the stream and frees it, now or later; the caller must not use it again. Written bytes are
 * still sent; bytes that the guest sends are discarded. A stream that is not open yet is reset.
 */
void vsock_stream_close(struct vsock_stream *stream);

/* Tells the guest that all connections are gone (VIRTIO_VSOCK_EVENT_TRANSPORT_RESET). */
void vsock_transport_reset(struct vsock *vsock);

/*
 * For snapshots: streams of in-process endpoints that survive a restore, instead of a transport
 * reset. vsock_stream_save() returns false, and writes nothing, if a stream is not open in both
 * directions. vsock_save_others() then saves the ports of all other connections of the guest.
 */
struct pack;
struct unpack;
bool vsock_stream_save(struct vsock_stream *stream, struct pack *to);
void vsock_save_others(struct vsock *vsock, struct pack *to);

/*
 * Restores from hostile bytes. vsock_stream_restore() continues the stream of a host port with this
 * endpoint and makes its callbacks; vsock_restore_others() resets the other connections one by one.
 * 0, -EINVAL, -ENOMEM or -ENOBUFS.
 */
int vsock_stream_restore(struct vsock *vsock, uint32_t port, struct unpack *from,
			 const struct vsock_stream_ops *ops, void *arg, struct vsock_stream **out);
int vsock_restore_others(struct vsock *vsock, struct unpack *from);

/* Resets one such connection, or a saved stream that the caller does not want. 0 or -ENOBUFS. */
int vsock_restore_reset(struct vsock *vsock, uint32_t port, uint32_t guest_port);

struct vsock_stats {
	uint64_t bytes_to_guest, bytes_from_guest; /* payload */
	uint64_t packets_to_guest, packets_from_guest;
	uint64_t streams, streams_peak; /* now, and at most */
	uint64_t refused;     /* connections from either side, for want of a listener or of room */
	uint64_t bad_packets; /* including receive buffers that are too small */
	uint64_t buffered_bytes; /* in all streams now */
};
void vsock_stats(const struct vsock *vsock, struct vsock_stats *out);

#endif
