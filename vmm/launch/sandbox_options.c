/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/sandbox_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/guest_files.h"
#include "vmm/launch/share_check.h"
#include "vmm/control/share_links.h"
#include "vmm/launch/sign.h"

static int set_memory(void *arg, const char *value, struct err *err)
{
	struct sandbox_options *options = arg;
	uint64_t bytes;
	struct sysinfo info;
	int ret = cli_parse_size(value, &bytes, err);

	if (ret < 0)
		return ret;
	if (bytes < MACHINE_MEMORY_MIN)
		return err_set(err, EINVAL, "%s is too little: give at least %lluM", value,
			       (unsigned long long)(MACHINE_MEMORY_MIN >> 20));
	if (sysinfo(&info) == 0 && bytes > (uint64_t)info.totalram * info.mem_unit)
		return err_set(err, EINVAL, "%s is more than this host's memory (%lluM)", value,
			       (unsigned long long)info.totalram * info.mem_unit >> 20);
	options->sandbox.machine.memory = bytes & ~(MIB(2) - 1);
	options->memory_given = true;
	return 0;
}

static int set_cpus(void *arg, const char *value, struct err *err)
{
	struct sandbox_options *options = arg;
	uint64_t cpus;
	int ret = cli_parse_number(value, 1, VM_CPUS_MAX, &cpus, err);

	if (ret < 0)
		return ret;
	options->sandbox.machine.cpus = (unsigned)cpus;
	options->cpus_given = true;
	return 0;
}

static int set_kernel(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->sandbox.machine.kernel = value;
	return 0;
}

static int set_initrd(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->sandbox.machine.initrd = value;
	return 0;
}

static int set_cmdline(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->sandbox.machine.cmdline_append = value;
	return 0;
}

static int set_vsock(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->sandbox.machine.vsock_path = value;
	return 0;
}

static int set_console(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct sandbox_options *)arg)->sandbox.machine.console_fd = STDERR_FILENO;
	return 0;
}

static int set_cold(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct sandbox_options *)arg)->sandbox.cold = true;
	return 0;
}

/* policy_file.c has what they do; here they are for every verb that makes a sandbox. */
static int set_audit(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->policy_options.audit = value;
	return 0;
}

static int set_sign(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->policy_options.sign = value;
	return 0;
}

static int set_share(void *arg, const char *value, struct err *err)
{
	return policy_add_share(&((struct sandbox_options *)arg)->policy_options, value, err);
}

static int set_allow_home(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct sandbox_options *)arg)->policy_options.allow_home = true;
	return 0;
}

static int set_on_ask(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->sandbox.on_ask = value;
	return 0;
}

static int set_rootfs(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct sandbox_options *)arg)->rootfs = value;
	return 0;
}

static int set_disk(void *arg, const char *value, struct err *err)
{
	uint64_t bytes;
	int ret = cli_parse_size(value, &bytes, err);

	return ret < 0 ? ret : sandbox_options_set_disk(arg, bytes, err);
}

int sandbox_options_rate(const char *value, uint64_t *bytes, uint64_t *count, struct err *err)
{
	const char *colon = strchr(value, ':');
	char text[32];
	int ret;

	if (snprintf(text, sizeof(text), "%.*s", (int)(colon ? colon - value : INT_MAX), value) >=
	    (int)sizeof(text))
		return err_set(err, EINVAL, "'%s' is not a rate such as 100M or 100M:2000", value);
	ret = cli_parse_size(text, bytes, err);
	if (ret == 0 && colon)
		ret = cli_parse_number(colon + 1, 1, UINT32_MAX, count, err);
	return ret;
}

static int set_disk_rate(void *arg, const char *value, struct err *err)
{
	struct root_config *root = &((struct sandbox_options *)arg)->sandbox.root;

	return sandbox_options_rate(value, &root->bytes_per_second, &root->operations_per_second,
				    err);
}

static int set_disk_queues(void *arg, const char *value, struct err *err)
{
	uint64_t queues;
	int ret = cli_parse_number(value, 1, BLK_QUEUES, &queues, err);

	if (ret == 0)
		((struct sandbox_options *)arg)->sandbox.machine.queues.disk = (unsigned)queues;
	return ret;
}

static int set_net_queues(void *arg, const char *value, struct err *err)
{
	uint64_t queues;
	int ret = cli_parse_number(value, 1, NET_CARD_PAIRS, &queues, err);

	if (ret == 0)
		((struct sandbox_options *)arg)->sandbox.machine.queues.net = (unsigned)queues;
	return ret;
}

int sandbox_options_set_disk(struct sandbox_options *options, uint64_t bytes, struct err *err)
{
	if (bytes < ROOT_DISK_MIN || bytes > DISK_BYTES_MAX)
		return err_set(err, EINVAL, "a disk has 1M to 4T, not %llu bytes",
			       (unsigned long long)bytes);
	options->sandbox.root.disk_bytes = bytes;
	return 0;
}

const struct cli_option sandbox_option_table[] = {
	{"memory", 'm', "SIZE", "guest memory, 64M and more (256M)", set_memory},
	{"cpus", 'c', "N", "processors, 1 to 8 (1)", set_cpus},
	{"audit", 0, "FILE", "write the audit log there; it stays", set_audit},
	{"sign", 0, "KEY", "sign the audit log's end with an OpenSSH ed25519 key", set_sign},
	{"share", 0, "HOST:GUEST", "share a folder: [:ro][:uid=N][:gid=N] may follow", set_share},
	{"allow-home", 0, NULL, "let shares reach the home directory, / or several repositories",
	 set_allow_home},
	{"rootfs", 0, "ROOT", "the root file system: host, a folder, an OCI image, or a raw image",
	 set_rootfs},
	{"disk", 0, "SIZE", "what it writes goes to a disk of SIZE, not to its memory", set_disk},
	{"disk-rate", 0, "BYTES[:N]", "at most so many bytes (and requests) a second, a disk",
	 set_disk_rate},
	{"disk-queues", 0, "N", "queues of each disk, 1 to 8 (1): one a processor at most",
	 set_disk_queues},
	{"net-queues", 0, "N",
	 "queue pairs of the network card, 1 to 8 (1): one a processor at most", set_net_queues},
	{"on-ask", 0, "CMD", "a command that answers where a rule says ask: see cordon ask",
	 set_on_ask},
	{"console", 0, NULL, "show the guest's console on stderr", set_console},
	{"cold", 0, NULL, "boot; neither use nor make a template", set_cold},
	{"vsock", 0, "PATH", "a Unix socket through which host programs reach guest ports",
	 set_vsock},
	{"kernel", 0, "FILE", "another guest kernel: ELF vmlinux or bzImage", set_kernel},
	{"initrd", 0, "FILE", "another initramfs, uncompressed", set_initrd},
	{"cmdline-append", 0, "TEXT", "more words for the kernel's command line", set_cmdline},
};

const size_t sandbox_option_count = ARRAY_SIZE(sandbox_option_table);

void sandbox_options_init(struct sandbox_options *options)
{
	options->sandbox.machine = (struct machine_config){
		.memory = MACHINE_MEMORY_DEFAULT,
		.cpus = 1,
		.queues = {.disk = 1, .net = 1},
		.console_fd = -1,
	};
}

/* The guest's kernel has no use for more than a queue a processor. */
static int check_queues(const char *option, unsigned queues, unsigned cpus, struct err *err)
{
	if (queues <= cpus)
		return 0;
	return err_set(err, EINVAL, "%s %u: the sandbox has %u processor%s: give --cpus %u", option,
		       queues, cpus, cpus > 1 ? "s" : "", queues);
}

/* What no option says is as the policy limits it; an option can't ask for more. */
static int apply_limits(struct sandbox_options *options, struct err *err)
{
	const struct policy_limits *limits = policy_limits(options->policy);
	struct machine_config *machine = &options->sandbox.machine;
	uint64_t cpus = machine->cpus, memory = machine->memory;
	uint64_t disk = options->sandbox.root.disk_bytes;
	int ret = policy_apply_limit(options->policy, "--memory", LIMIT_MEMORY, limits->memory,
				     options->memory_given, &memory, err);

	if (ret == 0)
		ret = policy_apply_limit(options->policy, "--cpus", LIMIT_CPUS, limits->cpus,
					 options->cpus_given, &cpus, err);
	if (ret == 0 && memory < MACHINE_MEMORY_MIN)
		ret = err_set(err, EINVAL, "%s:%u: memory=: a sandbox has at least %lluM",
			      limits->file[LIMIT_MEMORY], limits->line[LIMIT_MEMORY],
			      (unsigned long long)(MACHINE_MEMORY_MIN >> 20));
	/* A snapshot has its disks with it, if any. */
	if (ret == 0 && !options->sandbox.snapshot)
		ret = policy_apply_limit(options->policy, "--disk", LIMIT_DISK, limits->disk,
					 disk > 0, &disk, err);
	if (ret == 0 && disk > 0 && !options->sandbox.snapshot)
		ret = sandbox_options_set_disk(options, disk, err);
	machine->memory = memory & ~(MIB(2) - 1);
	machine->cpus = (unsigned)min_u64(cpus, VM_CPUS_MAX);
	if (ret == 0)
		ret = check_queues("--disk-queues", machine->queues.disk, machine->cpus, err);
	if (ret == 0)
		ret = check_queues("--net-queues", machine->queues.net, machine->cpus, err);
	return ret;
}

/* An image's path may have a word or two behind it, as in "disk.img:cow". */
static int check_root_links(const struct policy *policy, const char *text, struct err *err)
{
	char path[PATH_MAX], *colon;
	struct stat status;

	if (snprintf(path, sizeof(path), "%s", text) >= (int)sizeof(path))
		return 0; /* refused as a root file system, too */
	while (lstat(path, &status) < 0 && (colon = strrchr(path, ':')))
		*colon = '\0';
	return share_links_check(policy, path, "--rootfs", err);
}

/*
 * A guest that can write where one of these paths leads through chose what it leads to. The
 * policy's own shares come as the file has them, those of the command line have been resolved.
 */
static int check_links(const struct sandbox_options *options, struct err *err)
{
	const struct policy *policy = options->policy;
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < options->policy_options.shares; i++)
		ret = share_links_check(policy, options->policy_options.share_path[i], "the share",
					err);
	for (i = 0; ret == 0 && i < policy_share_count(policy); i++)
		ret = share_links_check(policy, policy_share(policy, i)->host, "the share", err);
	if (ret == 0 && options->rootfs)
		ret = check_root_links(policy, options->rootfs, err);
	if (ret == 0 && options->sandbox.machine.vsock_path)
		ret = policy_check_outside(policy, options->sandbox.machine.vsock_path,
					   "the vsock socket", err);
	return ret;
}

int sandbox_options_policy(struct sandbox_options *options, struct err *err)
{
	int ret = policy_load(&options->policy, &options->policy_options, err);

	if (ret == 0 && !options->policy_options.allow_home)
		ret = share_check_reach(options->policy, err);
	if (ret == 0)
		share_warn(options->policy);
	if (ret == 0)
		ret = apply_limits(options, err);
	if (ret == 0)
		ret = network_apply(options, err);
	if (ret == 0)
		ret = policy_check_places(options->policy, options->policy_options.audit, err);
	if (ret == 0)
		ret = check_links(options, err);
	if (ret == 0)
		ret = sign_load(&options->key, options->policy_options.sign, options->policy,
				&options->sandbox.root, err);
	return ret;
}

int sandbox_options_rootfs(struct sandbox_options *options, struct err *err)
{
	struct err why;
	int ret;

	if (!options->rootfs)
		return 0;
	ret = rootfs_resolve(options->rootfs, &options->sandbox.root, &options->settings, &why);
	options->policy_options.rootfs = rootfs_is_served(&options->sandbox.root);
	return ret < 0 ? err_set(err, -ret, "--rootfs: %s", why.text) : 0;
}

int sandbox_options_finish(struct sandbox_options *options, bool agent, struct err *err)
{
	struct machine_config *machine = &options->sandbox.machine;
	bool own_kernel = machine->kernel != NULL;
	int ret = 0;

	machine->agent = agent;
	if (!own_kernel) {
		ret = find_guest_file("vmlinux", options->kernel, err);
		machine->kernel = options->kernel;
	}
	if (ret == 0 && !machine->initrd && (agent || !own_kernel)) {
		ret = find_guest_file("initramfs", options->initrd, err);
		machine->initrd = options->initrd;
	}
	return ret == 0 ? sandbox_options_policy(options, err) : ret;
}
