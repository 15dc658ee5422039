/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/size.h"

#include <errno.h>

#include "vmm/base/bytes.h"
#include "vmm/machine/machine.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/sandbox.h"

struct machine_size machine_size(const struct machine *machine)
{
	struct blk *blk = machine->devices.blk[MACHINE_DISK_WRITABLE];
	const struct disk *disk = blk ? blk_disk(blk) : NULL;
	struct machine_size size = {
		.memory = machine->config.memory,
		.cpus = machine->config.cpus,
	};

	if (disk)
		size.disk = disk_layer_limit(disk) ? disk_layer_limit(disk) : disk_bytes(disk);
	return size;
}

static int check_bytes(const char *what, uint64_t has, uint64_t limit, struct err *err)
{
	if (limit == 0 || has <= limit)
		return 0;
	return err_set(err, EINVAL, "the sandbox has %lluM of %s, the policy allows %lluM",
		       (unsigned long long)(align_up(has, MIB(1)) >> 20), what,
		       (unsigned long long)limit >> 20);
}

int machine_size_check(const struct machine_size *size, const struct policy *policy,
		       struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);
	int ret = check_bytes("memory", size->memory, limits->memory, err);

	if (ret == 0)
		ret = check_bytes("disk", size->disk, limits->disk, err);
	if (ret == 0 && limits->cpu_millis && size->cpus > policy_processors(limits->cpu_millis))
		ret = err_set(err, EINVAL, "the sandbox has %u processors, the policy allows %llu",
			      size->cpus,
			      (unsigned long long)policy_processors(limits->cpu_millis));
	return ret;
}

struct check {
	const struct machine_size *size;
	struct err *err;
	int ret;
};

static void check(void *arg, const struct policy *policy)
{
	struct check *with = arg;

	with->ret = machine_size_check(with->size, policy, with->err);
}

int machine_size_check_guard(const struct machine_size *size, struct guard *guard, struct err *err)
{
	struct check with = {.size = size, .err = err};

	if (guard)
		guard_with_policy(guard, check, &with);
	return with.ret;
}
