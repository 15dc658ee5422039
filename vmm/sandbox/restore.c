/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/restore.h"

#include "vmm/sandbox/sandbox.h"
#include "vmm/sandbox/size.h"

int restore_parse(struct sandbox *sandbox, struct err *err)
{
	const struct snapshot_owner owner = {.section = &shares_section, .section_count = 1};

	return snapshot_open(&sandbox->snapshot, sandbox->config.snapshot, &owner, err);
}

int restore_check(struct sandbox *sandbox, struct err *err)
{
	const struct snapshot *snapshot = &sandbox->snapshot;
	const struct machine_size size = {
		.memory = snapshot->memory, .cpus = snapshot->cpus, .disk = snapshot->disk};
	int ret = machine_size_check_guard(&size, sandbox->config.guard, err);

	if (ret == 0)
		ret = shares_check_saved(&sandbox->shares, snapshot, err);
	if (ret == 0 && sandbox->config.verify)
		ret = snapshot_verify_memory(snapshot, &sandbox->config.stop, err);
	return ret;
}

int restore_build(struct sandbox *sandbox, struct loop *loop, const struct machine_ops *ops,
		  struct err *err)
{
	struct machine_config config = sandbox->config.machine;

	config.stop = sandbox->config.stop;
	config.restore = &sandbox->snapshot;
	config.image = sandbox->config.root.image;
	config.cached = sandbox->root.disk[MACHINE_DISK_IMAGE];
	config.trusted_image = sandbox->config.trusted_image;
	return machine_create(&sandbox->machine, loop, &config, ops, sandbox, err);
}
