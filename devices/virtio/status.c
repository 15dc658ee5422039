/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/status.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"

/* --- interrupts and errors ------------------------------------------------------------------- */

static void interrupt(struct virtio_mmio *mmio, unsigned bit)
{
	atomic_fetch_or(&mmio->interrupt_status, bit);
	if (mmio->irq)
		irq_line_raise(mmio->irq);
}

static void interrupt_queue(void *transport, unsigned queue)
{
	(void)queue;
	interrupt(transport, VIRTIO_MMIO_INT_VRING);
}

static void interrupt_config(void *transport)
{
	struct virtio_mmio *mmio = transport;

	mmio->config_generation++;
	interrupt(mmio, VIRTIO_MMIO_INT_CONFIG);
}

static void needs_reset(void *transport)
{
	struct virtio_mmio *mmio = transport;

	if (mmio->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	mmio->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	/* Only a driver that has finished its set-up gets the interrupt (2.1.2). */
	if (mmio->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt_config(mmio);
}

const struct virtio_transport_ops virtio_mmio_transport_ops = {
	.interrupt_queue = interrupt_queue,
	.interrupt_config = interrupt_config,
	.needs_reset = needs_reset,
};

/* --- the status state machine (2.1, 3.1.1) ---------------------------------------------------- */

static void stop_device(struct virtio_mmio *mmio)
{
	struct virtio_device *device = mmio->device;
	unsigned i;

	if (device->active)
		device->ops->reset(device);
	device->active = false;
	for (i = 0; i < device->queue_count; i++)
		virtqueue_reset(&device->queue[i]);
}

static void reset(struct virtio_mmio *mmio)
{
	stop_device(mmio);
	mmio->status = 0;
	mmio->device_features_sel = 0;
	mmio->driver_features_sel = 0;
	mmio->queue_sel = 0;
	mmio->driver_features = 0;
	mmio->driver_features_beyond = false;
	mmio->device->negotiated = 0;
	atomic_store(&mmio->interrupt_status, 0);
	memset(mmio->queue, 0, sizeof(mmio->queue));
}

/* A refusal leaves FEATURES_OK at 0: the driver reads it back (3.1.1, step 6). */
static bool features_agreed(struct virtio_mmio *mmio)
{
	uint64_t wanted = mmio->driver_features;

	if (mmio->driver_features_beyond || (wanted & ~mmio->device->features) ||
	    !(wanted & (UINT64_C(1) << VIRTIO_F_VERSION_1))) {
		log_guest("%s: features 0x%llx refused", mmio->device->name,
			  (unsigned long long)wanted);
		return false;
	}
	mmio->device->negotiated = wanted;
	return true;
}

int virtio_status_activate_queues(struct virtio_mmio *mmio, struct err *err)
{
	struct virtio_device *device = mmio->device;
	struct err why = {""};
	unsigned i;
	int ret;

	for (i = 0; i < device->queue_count; i++) {
		if (!mmio->queue[i].ready)
			continue;
		ret = virtqueue_activate(&device->queue[i], &mmio->queue[i],
					 device->queue_size_max[i], device->negotiated,
					 mmio->memory, &why);
		if (ret < 0)
			return err_set(err, -ret, "%s: queue %u: %s", device->name, i, why.text);
	}
	return 0;
}

int virtio_status_activate_device(struct virtio_mmio *mmio, struct err *err)
{
	struct virtio_device *device = mmio->device;
	int ret = device->ops->activate(device);

	if (ret < 0)
		return err_code(err, -ret, "%s: activation", device->name);
	device->active = true;
	return 0;
}

/* The driver may have filled its rings before it could ring a doorbell. */
static void notify_early(struct virtio_mmio *mmio, unsigned queue)
{
	struct virtio_device *device = mmio->device;

	if (!virtqueue_active(&device->queue[queue]))
		return;
	if (!device->ops->doorbell && !virtqueue_has_chain(&device->queue[queue]))
		return;
	if (mmio->ring)
		mmio->ring(mmio->ring_arg, queue);
	else
		device->ops->notify(device, queue);
}

static void activate(struct virtio_mmio *mmio)
{
	struct virtio_device *device = mmio->device;
	struct err err = {""};
	unsigned i;

	if (virtio_status_activate_queues(mmio, &err) < 0 ||
	    virtio_status_activate_device(mmio, &err) < 0) {
		log_guest("%s", err.text);
		stop_device(mmio);
		needs_reset(mmio);
		return;
	}
	if (device->driver_ok_ns == 0)
		device->driver_ok_ns = loop_now_ns();
	for (i = 0; i < device->queue_count; i++)
		notify_early(mmio, i);
}

/* All valid transitions; others are ignored. Writing 0 always resets. */
static const struct transition {
	uint32_t from, to;			   /* the driver's bits */
	bool (*allowed)(struct virtio_mmio *mmio); /* NULL: yes */
	void (*done)(struct virtio_mmio *mmio);	   /* after the status has changed; may be NULL */
} transitions[] = {
	{0, VIRTIO_CONFIG_S_ACKNOWLEDGE, NULL, NULL},
	{VIRTIO_CONFIG_S_ACKNOWLEDGE, ST_SETUP, NULL, NULL},
	{ST_SETUP, ST_QUEUES, features_agreed, NULL},
	{ST_QUEUES, ST_LIVE, NULL, activate},
	/* A driver may set FAILED at any time; then only a reset is valid. */
	{0, VIRTIO_CONFIG_S_FAILED, NULL, NULL},
	{VIRTIO_CONFIG_S_ACKNOWLEDGE, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FAILED, NULL,
	 NULL},
	{ST_SETUP, ST_SETUP | VIRTIO_CONFIG_S_FAILED, NULL, NULL},
	{ST_QUEUES, ST_QUEUES | VIRTIO_CONFIG_S_FAILED, NULL, NULL},
	{ST_LIVE, ST_LIVE | VIRTIO_CONFIG_S_FAILED, NULL, stop_device},
};

void virtio_status_write(struct virtio_mmio *mmio, uint32_t value)
{
	uint32_t from = mmio->status & ~VIRTIO_CONFIG_S_NEEDS_RESET,
		 to = value & ~VIRTIO_CONFIG_S_NEEDS_RESET;
	const struct transition *step;
	size_t i;

	if (value == 0) {
		reset(mmio);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(transitions); i++) {
		step = &transitions[i];
		if (step->from != from || step->to != to)
			continue;
		if (step->allowed && !step->allowed(mmio))
			return;
		mmio->status = to | (mmio->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		if (step->done)
			step->done(mmio);
		return;
	}
	if (from != to)
		log_guest("%s: status 0x%x after 0x%x is not allowed", mmio->device->name, value,
			  mmio->status);
}

bool virtio_status_reachable(uint32_t status)
{
	size_t i;

	if (status == 0)
		return true;
	for (i = 0; i < ARRAY_SIZE(transitions); i++)
		if ((status & ~VIRTIO_CONFIG_S_NEEDS_RESET) == transitions[i].to)
			return true;
	return false;
}
