/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/device.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#ifdef CORDON_ATTACK
int broken_add(struct vm *vm, struct err *err); /* tests/attack/broken.h */
#endif

static void doorbell_ready(void *arg, uint32_t events)
{
	struct machine_doorbell *doorbell = arg;
	uint64_t count;

	(void)events;
	if (read(doorbell->fd, &count, sizeof(count)) == sizeof(count))
		virtio_mmio_notify(doorbell->mmio, doorbell->queue);
}

static int connect_doorbell(struct machine_devices *devices, struct machine_virtio *virtio,
			    unsigned queue, struct err *err)
{
	struct machine_doorbell *doorbell = &virtio->doorbell[queue];
	int ret;

	*doorbell = (struct machine_doorbell){.mmio = &virtio->mmio, .queue = queue};
	doorbell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (doorbell->fd < 0)
		return err_sys(err, "eventfd");
	doorbell->source = (struct loop_source){
		.fd = doorbell->fd,
		.ready = doorbell_ready,
		.arg = doorbell,
	};
	ret = loop_add(devices->loop, &doorbell->source, EPOLLIN);
	if (ret < 0)
		return err_code(err, -ret, "watching a doorbell");
	return vm_connect_doorbell(devices->vm, virtio->base + VIRTIO_MMIO_QUEUE_NOTIFY, queue,
				   doorbell->fd, err);
}

static void ring_doorbell(void *arg, unsigned queue)
{
	const struct machine_virtio *virtio = arg;

	fd_notify(virtio->doorbell[queue].fd);
}

/* Puts a device into the next slot: register window, interrupt; not yet its doorbells. */
static int attach_quiet(struct machine_devices *devices, struct virtio_device *device,
			struct err *err)
{
	unsigned slot = devices->virtio_count, queue;
	struct machine_virtio *virtio = &devices->virtio[slot];
	int ret;

	virtio->device = device;
	virtio->base = LAYOUT_VIRTIO_BASE + slot * LAYOUT_VIRTIO_STRIDE;
	ret = irq_line_create(&virtio->irq, LAYOUT_PIN_VIRTIO + slot);
	if (ret < 0)
		return err_code(err, -ret, "%s: interrupt", device->name);
	devices->virtio_count++;
	for (queue = 0; queue < VIRTIO_DEVICE_QUEUES; queue++)
		virtio->doorbell[queue].fd = -1;
	virtio_mmio_init(&virtio->mmio, device, devices->vm->memory, &virtio->irq);
	ret = bus_add(&devices->vm->mmio, virtio->base, VIRTIO_MMIO_SIZE, &virtio_mmio_bus_ops,
		      &virtio->mmio);
	if (ret < 0)
		return err_code(err, -ret, "%s: address", device->name);
	return vm_connect_irq(devices->vm, &virtio->irq, err);
}

/* The same, with doorbells, unless the vCPUs' threads handle them. */
static int attach(struct machine_devices *devices, struct virtio_device *device, struct err *err)
{
	struct machine_virtio *virtio = &devices->virtio[devices->virtio_count];
	unsigned queue;
	int ret = attach_quiet(devices, device, err);

	if (device->ops->doorbell)
		return ret;
	for (queue = 0; ret == 0 && queue < device->queue_count; queue++)
		ret = connect_doorbell(devices, virtio, queue, err);
	virtio->mmio.ring_arg = virtio;
	virtio->mmio.ring = ring_doorbell;
	return ret;
}

static int create_legacy(struct machine_devices *devices, const struct machine_device_hooks *hooks,
			 struct err *err)
{
	struct vm *vm = devices->vm;
	int ret = irq_line_create(&devices->uart_irq, LAYOUT_PIN_UART);

	if (ret == 0)
		ret = uart_create(&devices->uart, devices->loop, &devices->uart_irq, hooks->console,
				  hooks->arg);
	if (ret == 0)
		ret = bus_add(&vm->mmio, LAYOUT_UART, LAYOUT_UART_SIZE, &uart_bus_ops,
			      devices->uart);
	if (ret == 0)
		ret = bus_add(&vm->ports, LAYOUT_PORT_UART, UART_PORTS, &uart_early_bus_ops,
			      devices->uart);
	if (ret < 0)
		return err_code(err, -ret, "serial port");
	power_init(&devices->power, hooks->reset, hooks->power_off, hooks->arg);
	ret = bus_add(&vm->ports, LAYOUT_PORT_I8042, 1, &power_i8042_bus_ops, &devices->power);
	if (ret == 0)
		ret = bus_add(&vm->ports, LAYOUT_PORT_POWER, 2, &power_off_bus_ops,
			      &devices->power);
	if (ret < 0)
		return err_code(err, -ret, "power ports");
	ret = vm_connect_irq(vm, &devices->uart_irq, err);
	if (ret < 0)
		return ret;
	ret = irq_line_create(&devices->vmgenid_irq, LAYOUT_PIN_VMGENID);
	if (ret < 0)
		return err_code(err, -ret, "generation id");
	return vm_connect_irq(vm, &devices->vmgenid_irq, err);
}

static int create_net(struct machine_devices *devices, const struct machine_queues *queues,
		      struct err *err)
{
	/*
	 * Every template has this MAC; a sandbox with a network gets its own later. The MTU is the
	 * largest that the driver may set.
	 */
	const struct net_card_config config = {.mac = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x02},
					       .mtu = 65520,
					       .pairs = queues->net,
					       .offloads = true};
	int ret = net_card_create(&devices->net, devices->loop, &config);

	if (ret < 0)
		return err_code(err, -ret, "network device");
	return attach(devices, net_card_device(devices->net), err);
}

static int create_disks(struct machine_devices *devices, unsigned queues, struct err *err)
{
	const struct blk_config config[MACHINE_DISKS] = {
		[MACHINE_DISK_IMAGE] = {.name = "disk0", .queues = queues, .read_only = true},
		[MACHINE_DISK_WRITABLE] = {.name = "disk1", .queues = queues},
	};
	unsigned i;
	int ret = pool_create(&devices->pool, devices->loop);

	for (i = 0; ret == 0 && i < MACHINE_DISKS; i++) {
		ret = blk_create(&devices->blk[i], devices->loop, devices->pool, &config[i]);
		if (ret == 0 && attach(devices, blk_device(devices->blk[i]), err) < 0)
			return -EIO;
	}
	return ret < 0 ? err_code(err, -ret, "disks") : 0;
}

static int create_fs(struct machine_devices *devices, unsigned queues, struct err *err)
{
	int ret = fs_create(&devices->fs, devices->loop, queues);

	if (ret < 0)
		return err_code(err, -ret, "file system device");
	return attach(devices, fs_device(devices->fs), err);
}

/*
 * Without reports of free pages: a guest begins with all that are free, two seconds of its clock
 * after its start. Where ring 0 is emulated that clock has gone on in a template, so each start
 * would do it at once. What they cost on hardware is not measured.
 *
 * Its doorbells ring rarely, so each is an access to a register: an eventfd each would cost every
 * start three more calls of KVM.
 */
static int create_balloon(struct machine_devices *devices, struct err *err)
{
	int ret = balloon_create(&devices->balloon, devices->loop, devices->vm->memory, false);

	if (ret < 0)
		return err_code(err, -ret, "balloon device");
	return attach_quiet(devices, balloon_device(devices->balloon), err);
}

int devices_create(struct machine_devices *devices, struct vm *vm, const char *vsock_path,
		   const struct machine_queues *queues, const struct machine_device_hooks *hooks,
		   struct err *err)
{
	int ret;

	*devices = (struct machine_devices){
		.loop = vm->loop, .vm = vm, .uart_irq.fd = -1, .vmgenid_irq.fd = -1};
	ret = create_legacy(devices, hooks, err);
	if (ret < 0)
		return ret;
	ret = vsock_create(&devices->vsock, vm->loop, VSOCK_GUEST_CID, vsock_path, err);
	if (ret == 0)
		ret = attach(devices, vsock_device(devices->vsock), err);
	if (ret < 0)
		return ret;
	ret = rng_create(&devices->rng, vm->loop);
	if (ret < 0)
		return err_code(err, -ret, "entropy device");
	ret = attach(devices, rng_device(devices->rng), err);
	if (ret == 0)
		ret = create_net(devices, queues, err);
	if (ret == 0)
		ret = create_disks(devices, queues->disk, err);
	if (ret == 0)
		ret = create_fs(devices, queues->fs, err);
	if (ret == 0)
		ret = create_balloon(devices, err);
#ifdef CORDON_ATTACK
	if (ret == 0)
		ret = broken_add(vm, err);
#endif
	return ret;
}

int devices_set_disk(struct machine_devices *devices, unsigned number, struct disk *disk,
		     struct err *err)
{
	int ret = pool_start(devices->pool, MACHINE_DISK_THREADS);

	if (ret < 0) {
		disk_destroy(disk);
		return err_code(err, -ret, "threads for disks");
	}
	blk_set_disk(devices->blk[number], disk);
	return 0;
}

void devices_destroy(struct machine_devices *devices)
{
	unsigned slot, queue, i;

	if (!devices->loop)
		return;
	for (slot = 0; slot < devices->virtio_count; slot++) {
		struct machine_virtio *virtio = &devices->virtio[slot];

		for (queue = 0; queue < VIRTIO_DEVICE_QUEUES; queue++) {
			struct machine_doorbell *doorbell = &virtio->doorbell[queue];

			if (doorbell->fd < 0)
				continue;
			loop_remove(devices->loop, &doorbell->source);
			fd_close(&doorbell->fd);
		}
		irq_line_destroy(&virtio->irq);
	}
	devices->virtio_count = 0;
	balloon_destroy(devices->balloon);
	devices->balloon = NULL;
	fs_destroy(devices->fs);
	devices->fs = NULL;
	for (i = 0; i < MACHINE_DISKS; i++) {
		blk_destroy(devices->blk[i]);
		devices->blk[i] = NULL;
	}
	pool_destroy(devices->pool);
	devices->pool = NULL;
	net_card_destroy(devices->net);
	devices->net = NULL;
	rng_destroy(devices->rng);
	devices->rng = NULL;
	vsock_destroy(devices->vsock);
	devices->vsock = NULL;
	uart_destroy(devices->uart);
	devices->uart = NULL;
	irq_line_destroy(&devices->uart_irq);
	irq_line_destroy(&devices->vmgenid_irq);
}
