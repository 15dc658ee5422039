/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio device: configuration, queues, packets from the guest, and the work task. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "devices/vsock/internal.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

#define FEATURE_STREAM	      0 /* VIRTIO_VSOCK_F_STREAM */
#define EVENT_BYTES	      4
#define EVENT_TRANSPORT_RESET 0
#define CONFIG_BYTES	      8
#define GUEST_CID_LAST	      UINT32_C(0xfffffffe)

/* --- interrupts ------------------------------------------------------------------------------- */

static void taken_are_told(struct vsock *vsock)
{
	vsock->taken = 0;
	loop_timer_stop(vsock->loop, &vsock->tell_taken);
}

static void tell_taken(void *arg)
{
	struct vsock *vsock = arg;

	taken_are_told(vsock);
	virtio_device_interrupt(&vsock->device, VSOCK_QUEUE_TX);
}

void vsock_interrupt_receive(struct vsock *vsock)
{
	if (!virtio_device_interrupt(&vsock->device, VSOCK_QUEUE_RX) || vsock->taken == 0)
		return;
	/* All queues share one interrupt line, so the driver checks the transmit queue too. */
	taken_are_told(vsock);
	virtqueue_should_interrupt(&vsock->device.queue[VSOCK_QUEUE_TX]);
}

/* --- packets from the guest ------------------------------------------------------------------- */

/*
 * Takes a bounded number of packets. Each may add one RST to the strays, which wait for a receive
 * buffer; while the strays are full, packets stay in the ring and the guest waits.
 */
static void take_packets(struct vsock *vsock)
{
	unsigned taken;

	for (taken = 0; taken < VSOCK_WORK_PACKETS; taken++) {
		if (vsock->stray_count == VSOCK_STRAYS)
			break;
		if (virtio_device_pop(&vsock->device, VSOCK_QUEUE_TX, &vsock->packet) <= 0) {
			vsock->packets_waiting = false;
			break;
		}
		vsock->more_packets = taken + 1 < VSOCK_WORK_PACKETS &&
				      virtqueue_has_chain(&vsock->device.queue[VSOCK_QUEUE_TX]);
		vsock_take_packet(vsock, &vsock->packet);
		virtqueue_push(&vsock->device.queue[VSOCK_QUEUE_TX], vsock->packet.head, 0);
		vsock->taken++;
	}
	vsock->more_packets = false;
	vsock_pass_gathered(vsock);
	if (vsock->taken >= max_u64(vsock->device.queue[VSOCK_QUEUE_TX].size / 4, 1))
		tell_taken(vsock);
	else if (vsock->taken > 0 && !vsock->tell_taken.armed)
		loop_timer_start(vsock->loop, &vsock->tell_taken, VSOCK_TAKEN_NS);
}

/* --- the transport reset event ---------------------------------------------------------------- */

static void send_reset_event(struct vsock *vsock)
{
	struct virtio_chain *chain = &vsock->packet;
	uint8_t event[EVENT_BYTES];

	if (!vsock->reset_owed || !vsock->device.active)
		return;
	if (virtio_device_pop(&vsock->device, VSOCK_QUEUE_EVENT, chain) <= 0)
		return;
	store_le32(event, EVENT_TRANSPORT_RESET);
	if (virtio_chain_write(chain, 0, event, sizeof(event)) == sizeof(event)) {
		vsock->reset_owed = false;
		virtqueue_push(&vsock->device.queue[VSOCK_QUEUE_EVENT], chain->head, sizeof(event));
	} else {
		vsock->stats.bad_packets++;
		virtqueue_push(&vsock->device.queue[VSOCK_QUEUE_EVENT], chain->head, 0);
		loop_defer(vsock->loop, &vsock->work); /* the next buffer may be large enough */
	}
	virtio_device_interrupt(&vsock->device, VSOCK_QUEUE_EVENT);
}

void vsock_forget_streams(struct vsock *vsock)
{
	struct list doomed;

	list_init(&doomed);
	list_move_all(&doomed, &vsock->streams);
	while (!list_empty(&doomed)) {
		struct vsock_stream *stream = list_entry(doomed.next, struct vsock_stream, link);

		list_remove(&stream->link);
		list_append(&vsock->streams, &stream->link);
		vsock_stream_end(stream);
	}
	vsock->stray_count = 0;
}

void vsock_transport_reset(struct vsock *vsock)
{
	vsock_forget_streams(vsock);
	vsock->reset_owed = true;
	send_reset_event(vsock);
}

/* --- the work task ---------------------------------------------------------------------------- */

static void free_the_freed(struct vsock *vsock)
{
	struct vsock_stream *stream;

	while (!list_empty(&vsock->freed)) {
		stream = list_entry(vsock->freed.next, struct vsock_stream, link);
		list_remove(&stream->link);
		free(stream);
	}
}

static void work(void *arg)
{
	struct vsock *vsock = arg;
	bool more;

	vsock_visits_tell(vsock);
	send_reset_event(vsock);
	if (vsock->packets_waiting && vsock->device.active)
		take_packets(vsock);
	vsock_inproc_tell(vsock);
	more = vsock_send_turns(vsock);
	/* If the strays are full, the remaining packets are taken once the guest adds buffers. */
	if (vsock->packets_waiting && vsock->device.active && vsock->stray_count < VSOCK_STRAYS)
		more = true;
	if (more)
		loop_defer(vsock->loop, &vsock->work);
	free_the_freed(vsock);
}

/* --- what the transport calls ----------------------------------------------------------------- */

static int vsock_activate(struct virtio_device *device)
{
	struct vsock *vsock = (struct vsock *)device;

	/* Host programs may have requested connections meanwhile. */
	loop_defer(vsock->loop, &vsock->work);
	return 0;
}

static void vsock_reset(struct virtio_device *device)
{
	struct vsock *vsock = (struct vsock *)device;

	taken_are_told(vsock);
	vsock->packets_waiting = false;
	vsock->reset_owed = false;
	vsock_forget_streams(vsock);
}

static void vsock_notify(struct virtio_device *device, unsigned queue)
{
	struct vsock *vsock = (struct vsock *)device;

	if (queue == VSOCK_QUEUE_TX)
		vsock->packets_waiting = true;
	loop_defer(vsock->loop, &vsock->work);
}

static void vsock_config_read(struct virtio_device *device, uint32_t offset, void *to,
			      uint32_t length)
{
	struct vsock *vsock = (struct vsock *)device;
	uint8_t config[CONFIG_BYTES];

	store_le64(config, vsock->guest_cid);
	memcpy(to, config + offset, length);
}

static const struct virtio_device_ops vsock_device_ops = {
	.activate = vsock_activate,
	.reset = vsock_reset,
	.notify = vsock_notify,
	.config_read = vsock_config_read,
};

/* --- the interface (vsock.h) ------------------------------------------------------------------ */

static void init_device(struct virtio_device *device)
{
	device->ops = &vsock_device_ops;
	device->name = "vsock0";
	device->id = VIRTIO_ID_VSOCK;
	device->features = UINT64_C(1) << FEATURE_STREAM;
	device->queue_count = VSOCK_QUEUES;
	device->queue_size_max[VSOCK_QUEUE_RX] = VSOCK_RX_QUEUE_SIZE;
	device->queue_size_max[VSOCK_QUEUE_TX] = VSOCK_TX_QUEUE_SIZE;
	device->queue_size_max[VSOCK_QUEUE_EVENT] = VSOCK_EVENT_QUEUE_SIZE;
	device->config_size = CONFIG_BYTES;
}

static int open_listener(struct vsock *vsock, const char *path, struct err *err)
{
	/* The sockets of ports are named PATH_PORT: the suffix is "_" and up to 10 digits. */
	char copy[sizeof(vsock->unix_name)];
	const char *slash;

	if (strlen(path) + sizeof("_4294967295") > sizeof(vsock->unix_name))
		return err_set(err, ENAMETOOLONG,
			       "%s: the path of a vsock socket has at most %zu bytes", path,
			       sizeof(vsock->unix_name) - sizeof("_4294967295"));
	slash = strrchr(path, '/');
	strcpy(vsock->unix_name, slash ? slash + 1 : path);
	strcpy(copy, path);
	vsock->unix_directory = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (vsock->unix_directory < 0)
		return err_sys(err, "%s: the directory of the vsock socket", path);
	return vsock_listener_create(&vsock->listener, vsock, path, 0, err);
}

int vsock_create(struct vsock **out, struct loop *loop, uint64_t guest_cid, const char *unix_path,
		 struct err *err)
{
	struct vsock *vsock;
	int ret;

	*out = NULL;
	if (guest_cid <= VSOCK_HOST_CID || guest_cid > GUEST_CID_LAST)
		return err_set(err, EINVAL, "%llu is not a guest CID: the range is 3 to %u",
			       (unsigned long long)guest_cid, GUEST_CID_LAST);
	vsock = calloc(1, sizeof(*vsock));
	if (!vsock)
		return err_set(err, ENOMEM, "no memory for the vsock device");
	vsock->loop = loop;
	vsock->unix_directory = -1;
	vsock->guest_cid = guest_cid;
	vsock->work = (struct loop_task){.run = work, .arg = vsock};
	vsock->ended_last = &vsock->ended;
	vsock->tell_taken = (struct loop_timer){.expired = tell_taken, .arg = vsock};
	list_init(&vsock->streams);
	list_init(&vsock->ready);
	list_init(&vsock->news);
	list_init(&vsock->freed);
	vsock_deadlines_init(&vsock->connecting, loop, VSOCK_CONNECT_NS,
			     vsock_stream_connect_expired);
	vsock_deadlines_init(&vsock->published_connecting, loop, VSOCK_PUBLISHED_NS,
			     vsock_stream_connect_expired);
	vsock_deadlines_init(&vsock->retrying, loop, VSOCK_RETRY_NS, vsock_unix_retry_expired);
	vsock_deadlines_init(&vsock->blocked, loop, VSOCK_BLOCKED_NS, vsock_stream_blocked_expired);
	vsock_deadlines_init(&vsock->lingering, loop, VSOCK_LINGER_NS, vsock_stream_linger_expired);
	init_device(&vsock->device);
	ret = vsock_table_init(&vsock->table);
	if (ret < 0)
		err_code(err, -ret, "random numbers for the vsock device");
	else if (unix_path)
		ret = open_listener(vsock, unix_path, err);
	if (ret < 0) {
		vsock_destroy(vsock);
		return ret;
	}
	*out = vsock;
	return 0;
}

struct virtio_device *vsock_device(struct vsock *vsock)
{
	return &vsock->device;
}

/* Frees streams whose host end still has bytes to take, or whose owner has not closed it. */
static void drop_ends(struct vsock *vsock)
{
	struct vsock_stream *stream;

	while (!list_empty(&vsock->streams)) {
		stream = list_entry(vsock->streams.next, struct vsock_stream, link);
		vsock_stream_end(stream);
		if (stream->freed)
			continue;
		if (stream->end == &vsock_unix_end_ops)
			stream->end->gone(stream);
		else
			vsock_stream_detached(stream);
	}
}

void vsock_destroy(struct vsock *vsock)
{
	struct vsock_service *service;

	if (!vsock)
		return;
	vsock_listener_destroy(vsock->listener);
	vsock_forget_streams(vsock);
	vsock_inproc_tell(vsock);
	drop_ends(vsock);
	free_the_freed(vsock);
	/* Callbacks for the clients of published sockets need the listeners' paths until here. */
	vsock_visits_tell(vsock);
	vsock_publish_end(vsock);
	while ((service = vsock->services)) {
		vsock->services = service->next;
		free(service);
	}
	vsock_deadlines_stop(&vsock->connecting);
	vsock_deadlines_stop(&vsock->published_connecting);
	vsock_deadlines_stop(&vsock->retrying);
	vsock_deadlines_stop(&vsock->blocked);
	vsock_deadlines_stop(&vsock->lingering);
	loop_timer_stop(vsock->loop, &vsock->tell_taken);
	loop_cancel(vsock->loop, &vsock->work);
	fd_close(&vsock->unix_directory);
	free(vsock);
}

void vsock_stats(const struct vsock *vsock, struct vsock_stats *out)
{
	const struct list *link;
	const struct vsock_stream *stream;

	*out = vsock->stats;
	out->buffered_bytes = 0;
	for (link = vsock->streams.next; link != &vsock->streams; link = link->next) {
		stream = list_entry(link, const struct vsock_stream, link);
		out->buffered_bytes += ring_used(&stream->from_guest);
		if (stream->end == &vsock_inproc_end_ops)
			out->buffered_bytes += ring_used(&stream->inproc.to_guest);
	}
}
