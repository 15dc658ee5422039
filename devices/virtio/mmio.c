/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"

#define MAGIC	0x74726976u /* "virt" */
#define VERSION 2u
#define VENDOR	0x4e445243u /* "CRDN" */

/* Register offsets (table 4.1). All are 32 bits wide; those left out read as 0. */
#define REG_MAGIC		0x000
#define REG_VERSION		0x004
#define REG_DEVICE_ID		0x008
#define REG_VENDOR_ID		0x00c
#define REG_DEVICE_FEATURES	0x010
#define REG_DEVICE_FEATURES_SEL 0x014
#define REG_DRIVER_FEATURES	0x020
#define REG_DRIVER_FEATURES_SEL 0x024
#define REG_QUEUE_SEL		0x030
#define REG_QUEUE_NUM_MAX	0x034
#define REG_QUEUE_NUM		0x038
#define REG_QUEUE_READY		0x044
#define REG_INTERRUPT_STATUS	0x060
#define REG_INTERRUPT_ACK	0x064
#define REG_STATUS		0x070
#define REG_QUEUE_DESC_LOW	0x080
#define REG_QUEUE_DESC_HIGH	0x084
#define REG_QUEUE_DRIVER_LOW	0x090
#define REG_QUEUE_DRIVER_HIGH	0x094
#define REG_QUEUE_DEVICE_LOW	0x0a0
#define REG_QUEUE_DEVICE_HIGH	0x0a4
#define REG_SHM_LEN_LOW		0x0b0
#define REG_SHM_LEN_HIGH	0x0b4
#define REG_SHM_BASE_LOW	0x0b8
#define REG_SHM_BASE_HIGH	0x0bc
#define REG_CONFIG_GENERATION	0x0fc
#define REG_CONFIG		0x100

#define INTERRUPT_QUEUE	 1u
#define INTERRUPT_CONFIG 2u

/* Status bits (2.1). NEEDS_RESET is the device's to set, all others are the driver's. */
#define ST_ACKNOWLEDGE 1u
#define ST_DRIVER      2u
#define ST_DRIVER_OK   4u
#define ST_FEATURES_OK 8u
#define ST_NEEDS_RESET 64u
#define ST_FAILED      128u

#define ST_SETUP  (ST_ACKNOWLEDGE | ST_DRIVER) /* features may be written */
#define ST_QUEUES (ST_SETUP | ST_FEATURES_OK)  /* queues may be written */
#define ST_LIVE	  (ST_QUEUES | ST_DRIVER_OK)

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
	interrupt(transport, INTERRUPT_QUEUE);
}

static void interrupt_config(void *transport)
{
	struct virtio_mmio *mmio = transport;

	mmio->config_generation++;
	interrupt(mmio, INTERRUPT_CONFIG);
}

static void needs_reset(void *transport)
{
	struct virtio_mmio *mmio = transport;

	if (mmio->status & ST_NEEDS_RESET)
		return;
	mmio->status |= ST_NEEDS_RESET;
	/* Only a driver that has finished its set-up hears of it (2.1.2). */
	if (mmio->status & ST_DRIVER_OK)
		interrupt_config(mmio);
}

static const struct virtio_transport_ops transport_ops = {
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

/* Refusing means that FEATURES_OK stays 0: the driver reads it back (3.1.1, step 6). */
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

static int activate_queues(struct virtio_mmio *mmio, struct err *err)
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

static int activate_device(struct virtio_mmio *mmio, struct err *err)
{
	struct virtio_device *device = mmio->device;
	int ret = device->ops->activate(device);

	if (ret < 0)
		return err_code(err, -ret, "%s: activation", device->name);
	device->active = true;
	return 0;
}

static void activate(struct virtio_mmio *mmio)
{
	struct virtio_device *device = mmio->device;
	struct err err = {""};
	unsigned i;

	if (activate_queues(mmio, &err) < 0 || activate_device(mmio, &err) < 0) {
		log_guest("%s", err.text);
		stop_device(mmio);
		needs_reset(mmio);
		return;
	}
	/* The driver may have filled its rings before; it could not ring a doorbell yet. */
	for (i = 0; i < device->queue_count; i++)
		if (virtqueue_active(&device->queue[i]) && virtqueue_has_chain(&device->queue[i]))
			device->ops->notify(device, i);
}

/* Every step that a driver may take; whatever is not here is ignored. Writing 0 always resets. */
static const struct transition {
	uint32_t from, to;			   /* the driver's bits */
	bool (*allowed)(struct virtio_mmio *mmio); /* NULL: yes */
	void (*done)(struct virtio_mmio *mmio);	   /* after the status has changed; may be NULL */
} transitions[] = {
	{0, ST_ACKNOWLEDGE, NULL, NULL},
	{ST_ACKNOWLEDGE, ST_SETUP, NULL, NULL},
	{ST_SETUP, ST_QUEUES, features_agreed, NULL},
	{ST_QUEUES, ST_LIVE, NULL, activate},
	/* A driver may give up at any time; then only a reset helps. */
	{0, ST_FAILED, NULL, NULL},
	{ST_ACKNOWLEDGE, ST_ACKNOWLEDGE | ST_FAILED, NULL, NULL},
	{ST_SETUP, ST_SETUP | ST_FAILED, NULL, NULL},
	{ST_QUEUES, ST_QUEUES | ST_FAILED, NULL, NULL},
	{ST_LIVE, ST_LIVE | ST_FAILED, NULL, stop_device},
};

static void write_status(struct virtio_mmio *mmio, uint32_t value)
{
	uint32_t from = mmio->status & ~ST_NEEDS_RESET, to = value & ~ST_NEEDS_RESET;
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
		mmio->status = to | (mmio->status & ST_NEEDS_RESET);
		if (step->done)
			step->done(mmio);
		return;
	}
	if (from != to)
		log_guest("%s: status 0x%x after 0x%x is not allowed", mmio->device->name, value,
			  mmio->status);
}

/* --- registers ------------------------------------------------------------------------------- */

/* The queue that QueueSel names, or NULL if there is none. */
static struct virtqueue_config *selected_queue(struct virtio_mmio *mmio)
{
	return mmio->queue_sel < mmio->device->queue_count ? &mmio->queue[mmio->queue_sel] : NULL;
}

static uint32_t offered_features(const struct virtio_mmio *mmio)
{
	if (mmio->device_features_sel > 1)
		return 0;
	return (uint32_t)(mmio->device->features >> (32 * mmio->device_features_sel));
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	const struct virtqueue_config *queue = selected_queue(mmio);

	switch (offset) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return mmio->device->id;
	case REG_VENDOR_ID:
		return VENDOR;
	case REG_DEVICE_FEATURES:
		return offered_features(mmio);
	case REG_QUEUE_NUM_MAX:
		return queue ? mmio->device->queue_size_max[mmio->queue_sel] : 0;
	case REG_QUEUE_READY:
		return queue ? queue->ready : 0;
	case REG_INTERRUPT_STATUS:
		return atomic_load(&mmio->interrupt_status);
	case REG_STATUS:
		return mmio->status;
	case REG_SHM_LEN_LOW:
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		return UINT32_MAX; /* there is no such shared memory region (4.2.2.1) */
	case REG_CONFIG_GENERATION:
		return mmio->config_generation;
	default:
		return 0;
	}
}

static void write_driver_features(struct virtio_mmio *mmio, uint32_t value)
{
	unsigned shift = 32 * (mmio->driver_features_sel & 1);

	if (mmio->status != ST_SETUP)
		return;
	if (mmio->driver_features_sel > 1) {
		mmio->driver_features_beyond |= value != 0;
		return;
	}
	mmio->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	mmio->driver_features |= (uint64_t)value << shift;
}

static void set_half(uint64_t *address, bool high, uint32_t value)
{
	if (high)
		*address = (*address & UINT32_MAX) | ((uint64_t)value << 32);
	else
		*address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

/* Between FEATURES_OK and DRIVER_OK only, and while the queue is not ready, but for QueueReady. */
static void write_queue(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtqueue_config *queue = selected_queue(mmio);

	if (!queue || (mmio->status & ~ST_NEEDS_RESET) != ST_QUEUES)
		return;
	if (offset == REG_QUEUE_READY) {
		queue->ready = value & 1;
		return;
	}
	if (queue->ready)
		return;
	switch (offset) {
	case REG_QUEUE_NUM:
		queue->size = value;
		break;
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
		set_half(&queue->descriptors, offset == REG_QUEUE_DESC_HIGH, value);
		break;
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
		set_half(&queue->driver, offset == REG_QUEUE_DRIVER_HIGH, value);
		break;
	case REG_QUEUE_DEVICE_LOW:
	case REG_QUEUE_DEVICE_HIGH:
		set_half(&queue->device, offset == REG_QUEUE_DEVICE_HIGH, value);
		break;
	default:
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case REG_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case REG_DRIVER_FEATURES:
		write_driver_features(mmio, value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case REG_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_mmio_notify(mmio, value);
		break;
	case REG_INTERRUPT_ACK:
		atomic_fetch_and(&mmio->interrupt_status, ~value);
		break;
	case REG_STATUS:
		write_status(mmio, value);
		break;
	default:
		write_queue(mmio, offset, value);
		break;
	}
}

/* --- what the bus calls ---------------------------------------------------------------------- */

/* Bytes behind the end of the configuration space read as 0. */
static uint64_t read_config(struct virtio_mmio *mmio, uint64_t offset, unsigned size)
{
	struct virtio_device *device = mmio->device;
	uint8_t bytes[8] = {0};

	if (offset < device->config_size)
		device->ops->config_read(device, (uint32_t)offset, bytes,
					 (uint32_t)min_u64(size, device->config_size - offset));
	return load_le64(bytes);
}

static void write_config(struct virtio_mmio *mmio, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_device *device = mmio->device;
	uint8_t bytes[8];

	if (!device->ops->config_write || !range_within(offset, size, device->config_size))
		return;
	if (!(mmio->status & ST_DRIVER) || (mmio->status & ST_FAILED))
		return;
	store_le64(bytes, value);
	device->ops->config_write(device, (uint32_t)offset, bytes, size);
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
	struct virtio_mmio *mmio = device;

	if (offset >= REG_CONFIG)
		return read_config(mmio, offset - REG_CONFIG, size);
	/* Registers have one width (4.2.2.2); an access that runs into the next one is none. */
	if (size != 4 || offset % 4 != 0)
		return 0;
	return read_register(mmio, offset);
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *mmio = device;

	if (offset >= REG_CONFIG)
		write_config(mmio, offset - REG_CONFIG, size, value);
	else if (size == 4 && offset % 4 == 0)
		write_register(mmio, offset, (uint32_t)value);
}

const struct bus_ops virtio_mmio_bus_ops = {.read = mmio_read, .write = mmio_write};

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device,
		      const struct guest_memory *memory, struct irq_line *irq)
{
	memset(mmio, 0, sizeof(*mmio));
	mmio->device = device;
	mmio->memory = memory;
	mmio->irq = irq;
	device->features |= UINT64_C(1) << VIRTIO_F_VERSION_1;
	device->features |= UINT64_C(1) << VIRTIO_F_INDIRECT_DESC;
	device->features |= UINT64_C(1) << VIRTIO_F_EVENT_IDX;
	device->transport_ops = &transport_ops;
	device->transport = mmio;
	device->active = false;
}

void virtio_mmio_notify(struct virtio_mmio *mmio, uint32_t queue)
{
	struct virtio_device *device = mmio->device;

	if (!device->active || queue >= device->queue_count)
		return;
	if (virtqueue_active(&device->queue[queue]) && !device->queue[queue].broken)
		device->ops->notify(device, queue);
}

/* --- snapshots ------------------------------------------------------------------------------- */

void virtio_mmio_save(const struct virtio_mmio *mmio, struct pack *pack)
{
	const struct virtio_device *device = mmio->device;
	unsigned i;

	pack_u32(pack, device->id);
	pack_u32(pack, mmio->status);
	pack_u8(pack, device->active);
	pack_u32(pack, mmio->device_features_sel);
	pack_u32(pack, mmio->driver_features_sel);
	pack_u32(pack, mmio->queue_sel);
	pack_u64(pack, mmio->driver_features);
	pack_u8(pack, mmio->driver_features_beyond);
	pack_u32(pack, mmio->config_generation);
	pack_u32(pack, atomic_load(&mmio->interrupt_status));
	pack_u64(pack, device->negotiated);
	pack_u32(pack, device->queue_count);
	for (i = 0; i < device->queue_count; i++) {
		pack_u32(pack, mmio->queue[i].size);
		pack_u8(pack, mmio->queue[i].ready);
		pack_u64(pack, mmio->queue[i].descriptors);
		pack_u64(pack, mmio->queue[i].driver);
		pack_u64(pack, mmio->queue[i].device);
		virtqueue_save(&device->queue[i], pack);
	}
	if (device->active && device->ops->save)
		device->ops->save(device, pack);
}

static bool is_reachable(uint32_t status)
{
	size_t i;

	if (status == 0)
		return true;
	for (i = 0; i < ARRAY_SIZE(transitions); i++)
		if ((status & ~ST_NEEDS_RESET) == transitions[i].to)
			return true;
	return false;
}

static void restore_registers(struct virtio_mmio *mmio, bool *active, struct unpack *unpack)
{
	mmio->status = unpack_u32(unpack);
	*active = unpack_u8(unpack) != 0;
	mmio->device_features_sel = unpack_u32(unpack);
	mmio->driver_features_sel = unpack_u32(unpack);
	mmio->queue_sel = unpack_u32(unpack);
	mmio->driver_features = unpack_u64(unpack);
	mmio->driver_features_beyond = unpack_u8(unpack) != 0;
	mmio->config_generation = unpack_u32(unpack);
	atomic_store(&mmio->interrupt_status,
		     unpack_u32(unpack) & (INTERRUPT_QUEUE | INTERRUPT_CONFIG));
	mmio->device->negotiated = unpack_u64(unpack);
}

int virtio_mmio_restore(struct virtio_mmio *mmio, struct unpack *unpack, struct err *err)
{
	struct virtio_device *device = mmio->device;
	struct virtqueue_position position[VIRTIO_DEVICE_QUEUES];
	bool active;
	unsigned i;
	int ret = 0;

	if (unpack_u32(unpack) != device->id)
		return err_set(err, EINVAL, "another device than %s is in its place", device->name);
	restore_registers(mmio, &active, unpack);
	if (unpack_u32(unpack) != device->queue_count || !is_reachable(mmio->status) ||
	    (device->negotiated & ~device->features) != 0)
		return err_set(err, EINVAL, "%s: status, features or queues make no sense",
			       device->name);
	for (i = 0; i < device->queue_count; i++) {
		mmio->queue[i].size = unpack_u32(unpack);
		mmio->queue[i].ready = unpack_u8(unpack) != 0;
		mmio->queue[i].descriptors = unpack_u64(unpack);
		mmio->queue[i].driver = unpack_u64(unpack);
		mmio->queue[i].device = unpack_u64(unpack);
		virtqueue_restore_position(&position[i], unpack);
	}
	if (unpack->failed)
		return err_set(err, EINVAL, "%s: the state is cut short", device->name);
	/* A device whose activation failed waits for its reset; the driver has it live all the
	 * same. */
	if (!active)
		return 0;
	if ((mmio->status & ~ST_NEEDS_RESET) != ST_LIVE)
		return err_set(err, EINVAL, "%s: is active without DRIVER_OK", device->name);
	ret = activate_queues(mmio, err);
	for (i = 0; ret == 0 && i < device->queue_count; i++)
		virtqueue_set_position(&device->queue[i], &position[i]);
	if (ret == 0)
		ret = activate_device(mmio, err);
	if (ret == 0 && device->ops->restore && device->ops->restore(device, unpack) < 0)
		ret = err_set(err, EINVAL, "%s: its own state makes no sense", device->name);
	for (i = 0; ret == 0 && i < device->queue_count; i++)
		virtio_mmio_notify(mmio, i);
	/* An edge that was on its way when the state was saved may not be in it. A driver that has
	 * had it finds nothing to do. */
	if (ret == 0 && atomic_load(&mmio->interrupt_status) && mmio->irq)
		irq_line_raise(mmio->irq);
	return ret;
}
