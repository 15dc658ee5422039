/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and restores the requests under way: as their chains, which are read again. */
#include <errno.h>

#include "devices/blk/internal.h"
#include "vmm/base/pack.h"

/* The queues and heads of chains that are under way, or would be again. */
void blk_save(const struct virtio_device *device, struct pack *pack)
{
	const struct blk *blk = (const struct blk *)device;
	uint16_t heads[BLK_IN_FLIGHT][2];
	unsigned count = 0, i;

	for (i = 0; i < BLK_IN_FLIGHT; i++) {
		if (!blk->requests[i].under_way || atomic_load(&blk->requests[i].job.cancelled))
			continue;
		heads[count][0] = (uint16_t)blk->requests[i].queue;
		heads[count++][1] = blk->requests[i].chain.head;
	}
	/* Together no more than there are requests: restored chains are taken before all others. */
	for (i = 0; i < blk->restored_count && count < BLK_IN_FLIGHT; i++) {
		heads[count][0] = blk->restored[i].queue;
		heads[count++][1] = blk->restored[i].head;
	}
	pack_u16(pack, (uint16_t)count);
	for (i = 0; i < count; i++) {
		pack_u16(pack, heads[i][0]);
		pack_u16(pack, heads[i][1]);
	}
}

/* A chain that is named twice, as a guest may have offered it, counts once. */
int blk_restore(struct virtio_device *device, struct unpack *unpack)
{
	struct blk *blk = (struct blk *)device;
	unsigned count = unpack_u16(unpack), i, k;
	uint16_t queue, head;

	if (count > BLK_IN_FLIGHT)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		queue = unpack_u16(unpack);
		head = unpack_u16(unpack);
		if (unpack->failed || queue >= device->queue_count ||
		    !virtqueue_active(&device->queue[queue]) || head >= device->queue[queue].size)
			return -EINVAL;
		for (k = 0; k < blk->restored_count; k++)
			if (blk->restored[k].queue == queue && blk->restored[k].head == head)
				break;
		blk->restored[k].queue = queue;
		blk->restored[k].head = head;
		blk->restored_count += k == blk->restored_count;
	}
	return unpack->failed ? -EINVAL : 0;
}

bool blk_saves(const struct blk *blk)
{
	unsigned i;

	for (i = 0; blk->in_flight > 0 && i < BLK_IN_FLIGHT; i++)
		if (blk->requests[i].under_way && !blk->requests[i].read_only)
			return false;
	return blk->pushed == 0;
}
