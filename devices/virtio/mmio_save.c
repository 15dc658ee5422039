/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and restores a transport. */
#include <errno.h>

#include "devices/virtio/mmio.h"
#include "devices/virtio/status.h"

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
		     unpack_u32(unpack) & (VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG));
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
	if (unpack_u32(unpack) != device->queue_count || !virtio_status_reachable(mmio->status) ||
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
		return err_set(err, EINVAL, "%s: the state is truncated", device->name);
	/* A device whose activation failed waits for its reset, while the driver's status is live.
	 */
	if (!active)
		return 0;
	if ((mmio->status & ~VIRTIO_CONFIG_S_NEEDS_RESET) != ST_LIVE)
		return err_set(err, EINVAL, "%s: is active without DRIVER_OK", device->name);
	ret = virtio_status_activate_queues(mmio, err);
	for (i = 0; ret == 0 && i < device->queue_count; i++)
		virtqueue_set_position(&device->queue[i], &position[i]);
	if (ret == 0)
		ret = virtio_status_activate_device(mmio, err);
	if (ret == 0 && device->ops->restore && device->ops->restore(device, unpack) < 0)
		ret = err_set(err, EINVAL, "%s: its own state makes no sense", device->name);
	for (i = 0; ret == 0 && i < device->queue_count; i++)
		virtio_mmio_notify(mmio, i);
	/* An edge in flight at the time of the save may be missing from the state. If it was not,
	 * the driver finds nothing to do. */
	if (ret == 0 && atomic_load(&mmio->interrupt_status) && mmio->irq)
		irq_line_raise(mmio->irq);
	return ret;
}
