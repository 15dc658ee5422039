/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/state.h"

#define FOR_EACH_PIC_FIELD(DO)        \
	DO(last_irr)                  \
	DO(irr)                       \
	DO(imr)                       \
	DO(isr)                       \
	DO(priority_add)              \
	DO(irq_base)                  \
	DO(read_reg_select)           \
	DO(poll)                      \
	DO(special_mask)              \
	DO(init_state)                \
	DO(auto_eoi)                  \
	DO(rotate_on_auto_eoi)        \
	DO(special_fully_nested_mode) \
	DO(init4)                     \
	DO(elcr)                      \
	DO(elcr_mask)

static int save_pic(struct vm *vm, uint32_t id, struct pack *pack, struct err *err)
{
	struct kvm_irqchip chip = {.chip_id = id};

	if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) < 0)
		return err_sys(err, "KVM_GET_IRQCHIP %u", id);
#define SAVE(name) pack_u8(pack, chip.chip.pic.name);
	FOR_EACH_PIC_FIELD(SAVE)
#undef SAVE
	return 0;
}

static int restore_pic(struct vm *vm, uint32_t id, struct unpack *unpack, struct err *err)
{
	struct kvm_irqchip chip;

	memset(&chip, 0, sizeof(chip));
	chip.chip_id = id;
#define RESTORE(name) chip.chip.pic.name = unpack_u8(unpack);
	FOR_EACH_PIC_FIELD(RESTORE)
#undef RESTORE
	if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip) < 0)
		return err_sys(err, "KVM_SET_IRQCHIP %u", id);
	return 0;
}

static int save_ioapic(struct vm *vm, struct pack *pack, struct err *err)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	size_t i;

	if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) < 0)
		return err_sys(err, "KVM_GET_IRQCHIP IO-APIC");
	pack_u64(pack, chip.chip.ioapic.base_address);
	pack_u32(pack, chip.chip.ioapic.ioregsel);
	pack_u32(pack, chip.chip.ioapic.id);
	pack_u32(pack, chip.chip.ioapic.irr);
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		pack_u64(pack, chip.chip.ioapic.redirtbl[i].bits);
	return 0;
}

static int restore_ioapic(struct vm *vm, struct unpack *unpack, struct err *err)
{
	struct kvm_irqchip chip;
	size_t i;

	memset(&chip, 0, sizeof(chip));
	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	chip.chip.ioapic.base_address = unpack_u64(unpack);
	chip.chip.ioapic.ioregsel = unpack_u32(unpack);
	chip.chip.ioapic.id = unpack_u32(unpack);
	chip.chip.ioapic.irr = unpack_u32(unpack);
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		chip.chip.ioapic.redirtbl[i].bits = unpack_u64(unpack);
	if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip) < 0)
		return err_sys(err, "KVM_SET_IRQCHIP IO-APIC");
	return 0;
}

int vm_save(struct vm *vm, struct pack *pack, struct err *err)
{
	struct kvm_clock_data clock;
	int ret;

	if (ioctl(vm->fd, KVM_GET_CLOCK, &clock) < 0)
		return err_sys(err, "KVM_GET_CLOCK");
	pack_u64(pack, clock.clock);
	ret = save_pic(vm, KVM_IRQCHIP_PIC_MASTER, pack, err);
	if (ret == 0)
		ret = save_pic(vm, KVM_IRQCHIP_PIC_SLAVE, pack, err);
	if (ret == 0)
		ret = save_ioapic(vm, pack, err);
	return ret;
}

int vm_restore(struct vm *vm, struct unpack *unpack, struct err *err)
{
	struct kvm_clock_data clock;
	int ret;

	memset(&clock, 0, sizeof(clock));
	clock.clock = unpack_u64(unpack);
	ret = restore_pic(vm, KVM_IRQCHIP_PIC_MASTER, unpack, err);
	if (ret == 0)
		ret = restore_pic(vm, KVM_IRQCHIP_PIC_SLAVE, unpack, err);
	if (ret == 0)
		ret = restore_ioapic(vm, unpack, err);
	if (ret == 0 && ioctl(vm->fd, KVM_SET_CLOCK, &clock) < 0)
		ret = err_sys(err, "KVM_SET_CLOCK");
	if (unpack->failed && ret == 0)
		ret = err_set(err, EINVAL, "the state of the interrupt controllers is truncated");
	return ret;
}
