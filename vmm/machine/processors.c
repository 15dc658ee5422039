/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/processors.h"

#include "boot/layout.h"
#include "vmm/kvm/probe.h"

static int create_vcpus(struct machine *machine, struct err *err)
{
	int ret;

	while (machine->vcpus < machine->config.cpus) {
		ret = vcpu_create(&machine->vcpu[machine->vcpus], &machine->vm, machine->vcpus,
				  machine->config.cpus, err);
		if (ret < 0)
			return ret;
		machine->vcpus++;
	}
	return 0;
}

void processors_destroy(struct machine *machine)
{
	while (machine->vcpus > 0)
		vcpu_destroy(&machine->vcpu[--machine->vcpus]);
}

/*
 * A VM of a new machine, whose memory is empty, so that the host can be probed in it. CPUID depends
 * on the result and must be set before: a wrong guess costs another VM.
 */
static int create_new_vm(struct machine *machine, bool guess, bool *emulated, struct err *err)
{
	int ret = vm_create(&machine->vm, machine->loop, &machine->memory, LAYOUT_KVM_PAGES, err);

	if (ret < 0)
		return ret;
	vm_set_host(&machine->vm, guess);
	ret = create_vcpus(machine, err);
	if (ret < 0)
		return ret;
	guest_memory_use_huge(&machine->memory, LAYOUT_PAGE_TABLES, HOST_PROBE_BYTES, false);
	ret = vcpu_probe_host(&machine->vcpu[0], LAYOUT_PAGE_TABLES, emulated, err);
	guest_memory_use_huge(&machine->memory, LAYOUT_PAGE_TABLES, HOST_PROBE_BYTES, true);
	return ret;
}

int processors_create(struct machine *machine, struct err *err)
{
	const struct machine_config *config = &machine->config;
	bool guess = host_lacks_virtualization(), emulated;
	int ret;

	if (!config->restore) {
		ret = create_new_vm(machine, guess, &emulated, err);
		if (ret < 0 || emulated == guess)
			return ret;
		processors_destroy(machine);
		vm_destroy(&machine->vm);
		return create_new_vm(machine, emulated, &emulated, err);
	}
	ret = vm_create(&machine->vm, machine->loop, &machine->memory, LAYOUT_KVM_PAGES, err);
	if (ret < 0)
		return ret;
	if (config->trusted)
		vm_set_host(&machine->vm, config->restore->ring0_emulated);
	else
		ret = vm_probe_host(&machine->vm, err);
	return ret == 0 ? create_vcpus(machine, err) : ret;
}
