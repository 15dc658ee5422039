/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/sandbox_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/quantity.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/policy_file.h"
#include "vmm/launch/guest_files.h"
#include "vmm/launch/program_links.h"
#include "vmm/launch/share_check.h"
#include "vmm/control/share_links.h"
#include "vmm/launch/sign.h"
#include "vmm/policy/risks.h"

int sandbox_options_rate(const char *value, uint64_t *bytes, uint64_t *count, struct err *err)
{
	const char *colon = strchr(value, ':');
	char text[32];
	int ret;

	if (snprintf(text, sizeof(text), "%.*s", (int)(colon ? colon - value : INT_MAX), value) >=
	    (int)sizeof(text))
		return err_set(err, EINVAL, "'%s' is not a rate such as 100M or 100M:2000", value);
	ret = quantity_size(text, bytes, err);
	if (ret == 0 && colon)
		ret = quantity_number(colon + 1, 1, UINT32_MAX, count, err);
	return ret;
}

static int set_disk_rate(void *arg, const char *value, struct err *err)
{
	struct root_config *root = &((struct sandbox_options *)arg)->sandbox.root;

	return sandbox_options_rate(value, &root->bytes_per_second, &root->operations_per_second,
				    err);
}

static const struct option_entry root_entries[] = {
	{"rootfs", 0, OPTION_STRING, "ROOT",
	 "root file system: host, a directory, an OCI image, or a raw image",
	 "`host` stands for the host's programs. Otherwise ROOT is the path of a directory, of an "
	 "OCI image layout or of a `.tar` archive of an image; the name or digest of an image in "
	 "the cache (cordon-image(1)); or the path of a raw ext4, squashfs or erofs image. The "
	 "prefixes `dir:`, `oci:`, `image:` and `raw:` say which. A raw image may be followed by "
	 "`:ro` (the default) or `:cow`, which lets the guest write to its file system in a "
	 "private layer, and by its type, as in `:ext4`. Writes go to an overlay in guest memory, "
	 "unless `--disk` is given. An image's variables, working directory, user and (if no CMD "
	 "is given) command apply where no option says otherwise.",
	 .offset = offsetof(struct sandbox_options, rootfs)},
	{"allow-home", 0, OPTION_FLAG, NULL,
	 "let shares reach the home directory, / or several repositories",
	 "Without this option such shares, and shares of the inside of a `.git`, are refused.",
	 .offset = offsetof(struct sandbox_options, policy_options.allow_home)},
	{"on-ask", 0, OPTION_STRING, "CMD",
	 "command that decides where a rule asks, unless an operator is faster",
	 "sh(1) runs CMD, which reads the question on stdin, one line of JSON, and prints one line "
	 "such as {\"answer\":\"once\",\"reason\":\"TEXT\"}: a decision as in cordon-ask(1), and "
	 "optionally a reason for the audit log. A rule that a program in the sandbox proposes is "
	 "a question, too; there `approve` and `reject` decide. No such line, or an exit status "
	 "other than 0, is "
	 "no decision. CMD has no descriptors but 0 to 2, and only those variables of the "
	 "environment that programs usually need (PATH, HOME, USER, LANG, XDG_* and the like, and "
	 "those that reach the user's desktop). docs/on-ask.md has the keys and examples. "
	 "Deprecated: five more arguments, protocol, name (`-` if there is none), address, port "
	 "and rule, and an answer of one word.",
	 .offset = offsetof(struct sandbox_options, sandbox.on_ask)},
};

const struct option_table root_option_table = {"Files and approvals", root_entries,
					       ARRAY_SIZE(root_entries)};

static int set_cpus(void *arg, const char *value, struct err *err)
{
	return quantity_millis(value, POLICY_CPU_MILLIS_MIN, VM_CPUS_MAX * 1000,
			       &((struct sandbox_options *)arg)->cpu_millis, err);
}

#define SIZE_ENTRIES_OF_TEMPLATES 2

static const struct option_entry size_entries[] = {
	{"memory", 'm', OPTION_BYTES, "SIZE", "guest memory, at least 64M (default: 256M)",
	 "SIZE is rounded down to a multiple of 2 MiB.",
	 .offset = offsetof(struct sandbox_options, memory), .low = MACHINE_MEMORY_MIN},
	{"cpus", 'c', OPTION_CALL, "N", "processors, up to 8, or a share such as 0.5 (default: 1)",
	 "With a fraction the sandbox has N processors, rounded up, and its commands together use "
	 "as much time as N of them. The guest's kernel enforces that; a copy of the sandbox has "
	 "the share of its policy.",
	 .set = set_cpus},
	{"disk", 0, OPTION_BYTES, "SIZE", "scratch disk for writes (default: guest memory)",
	 "SIZE is 1M to 4T. The disk is an unnamed file in `TMPDIR` or /var/tmp, which takes space "
	 "only where it was written. With `:cow` SIZE bounds the private layer (default: 2G).",
	 .offset = offsetof(struct sandbox_options, sandbox.root.disk_bytes), .low = ROOT_DISK_MIN,
	 .high = DISK_BYTES_MAX},
	{"disk-rate", 0, OPTION_CALL, "BYTES[:N]",
	 "limit each disk to BYTES (and N requests) a second", .set = set_disk_rate},
	{"disk-queues", 0, OPTION_NUMBER, "N",
	 "queues of each disk, 1 to 8, at most one a processor (default: 1)", NULL,
	 .offset = offsetof(struct sandbox_options, sandbox.machine.queues.disk), .low = 1,
	 .high = BLK_QUEUES},
	{"net-queues", 0, OPTION_NUMBER, "N",
	 "queue pairs of the network card, 1 to 8, at most one a processor (default: 1)", NULL,
	 .offset = offsetof(struct sandbox_options, sandbox.machine.queues.net), .low = 1,
	 .high = NET_CARD_PAIRS},
};

const struct option_table size_option_table = {"Size and speed", size_entries,
					       ARRAY_SIZE(size_entries)};

const struct option_table template_size_table = {"Options of make", size_entries,
						 SIZE_ENTRIES_OF_TEMPLATES};

static const struct option_entry isolation_entries[] = {
	{"isolate", 0, OPTION_FLAG, NULL,
	 "share no memory and no processor core with other sandboxes",
	 "Guest memory, which else shares the unwritten pages of the template, snapshot or kernel "
	 "file with other sandboxes, is a private copy, and a core runs no other process's threads "
	 "beside those of this sandbox. Files of the host, of images too, stay in the host's page "
	 "cache for all. Where the host's kernel has no core scheduling, a warning says so.",
	 .offset = offsetof(struct sandbox_options, sandbox.machine.isolate)},
};

const struct option_table isolation_option_table = {"Isolation", isolation_entries,
						    ARRAY_SIZE(isolation_entries)};

/* RFC 1123, section 2.1, within what sethostname(2) takes. */
static int set_hostname(void *arg, const char *value, struct err *err)
{
	size_t length = strlen(value);

	if (length == 0 || length > HOST_NAME_MAX || value[0] == '-' || value[0] == '.' ||
	    strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") !=
		    length)
		return err_set(err, EINVAL,
			       "'%.80s' is no host name: up to %d letters, digits, '-' and '.'",
			       value, HOST_NAME_MAX);
	((struct sandbox_options *)arg)->sandbox.hostname = value;
	return 0;
}

static const struct option_entry guest_entries[] = {
	{"hostname", 0, OPTION_CALL, "NAME",
	 "host name of the sandbox (default: its name, if it stays)", NULL, .set = set_hostname},
	{"read-only", 0, OPTION_FLAG, NULL,
	 "make the sandbox's root file system read-only (not /tmp, /run, /dev/shm and shares)",
	 "/tmp and /run are then empty file systems in guest memory.",
	 .offset = offsetof(struct sandbox_options, sandbox.root.read_only)},
	{"console", 0, OPTION_FLAG, NULL,
	 "show the guest's serial console on stderr (`cordon run` only)", NULL,
	 .offset = offsetof(struct sandbox_options, console)},
	{"cold", 0, OPTION_FLAG, NULL, "boot the guest; neither use nor save a template", NULL,
	 .offset = offsetof(struct sandbox_options, sandbox.cold)},
	{"vsock", 0, OPTION_STRING, "PATH",
	 "Unix socket through which host programs reach vsock ports of the guest",
	 "To connect to a port of the guest, a program of the host connects to PATH and writes "
	 "`CONNECT PORT` and a newline. Once the guest has accepted, the reply is `OK HOSTPORT` "
	 "and a newline; then bytes flow. A connection of the guest to port N of CID 2 goes to the "
	 "Unix socket PATH_N.",
	 .offset = offsetof(struct sandbox_options, sandbox.machine.vsock_path)},
	{"kernel", 0, OPTION_STRING, "FILE", "boot this kernel: an ELF vmlinux or a bzImage",
	 "The payload of a bzImage must be gzip.",
	 .offset = offsetof(struct sandbox_options, sandbox.machine.kernel)},
	{"initrd", 0, OPTION_STRING, "FILE",
	 "boot with this initramfs, an uncompressed cpio archive", NULL,
	 .offset = offsetof(struct sandbox_options, sandbox.machine.initrd)},
	{"cmdline-append", 0, OPTION_STRING, "TEXT", "append TEXT to the kernel command line", NULL,
	 .offset = offsetof(struct sandbox_options, sandbox.machine.cmdline_append)},
};

const struct option_table guest_option_table = {"Guest", guest_entries, ARRAY_SIZE(guest_entries)};

void sandbox_options_init(struct sandbox_options *options)
{
	options->sandbox.machine = (struct machine_config){
		.queues = {.disk = 1, .net = 1},
		.console_fd = -1,
	};
}

/* The guest's kernel uses at most one queue per processor. */
static int check_queues(const char *option, unsigned queues, unsigned cpus, struct err *err)
{
	if (queues <= cpus)
		return 0;
	return err_set(err, EINVAL, "%s %u: the sandbox has %u processor%s: give --cpus %u", option,
		       queues, cpus, cpus > 1 ? "s" : "", queues);
}

/* Memory and processors: what the option says, else the policy's limit, else the default. */
static int apply_size_limits(struct sandbox_options *options, struct err *err)
{
	struct machine_config *machine = &options->sandbox.machine;
	uint64_t memory =
		options->memory ? options->memory & ~(MIB(2) - 1) : MACHINE_MEMORY_DEFAULT;
	uint64_t cpus = options->cpu_millis ? options->cpu_millis : 1000;
	struct sysinfo info;
	int ret = policy_apply_limit(options->policy, "--memory", POLICY_LIMIT_MEMORY,
				     options->memory > 0, &memory, err);

	if (ret == 0)
		ret = policy_apply_limit(options->policy, "--cpus", POLICY_LIMIT_CPUS,
					 options->cpu_millis > 0, &cpus, err);
	if (ret == 0 && options->memory && sysinfo(&info) == 0 &&
	    options->memory > (uint64_t)info.totalram * info.mem_unit)
		ret = err_set(err, EINVAL,
			      "--memory: %lluM is more than the memory of this host (%lluM)",
			      (unsigned long long)options->memory >> 20,
			      (unsigned long long)info.totalram * info.mem_unit >> 20);
	machine->memory = memory & ~(MIB(2) - 1);
	machine->cpus = (unsigned)min_u64(policy_processors(cpus), VM_CPUS_MAX);
	options->sandbox.cpu_millis = options->cpu_millis;
	return ret;
}

/* The same for the disk, unless the sandbox comes from a snapshot, which contains its disks. */
static int apply_disk_limit(struct sandbox_options *options, struct err *err)
{
	uint64_t *disk = &options->sandbox.root.disk_bytes;

	if (options->sandbox.snapshot)
		return 0;
	return policy_apply_limit(options->policy, "--disk", POLICY_LIMIT_DISK, *disk > 0, disk,
				  err);
}

static int apply_limits(struct sandbox_options *options, struct err *err)
{
	const struct machine_config *machine = &options->sandbox.machine;
	int ret = policy_check_sizes(options->policy, err);

	if (ret == 0)
		ret = apply_size_limits(options, err);
	if (ret == 0)
		ret = apply_disk_limit(options, err);
	if (ret == 0)
		ret = check_queues("--disk-queues", machine->queues.disk, machine->cpus, err);
	if (ret == 0)
		ret = check_queues("--net-queues", machine->queues.net, machine->cpus, err);
	return ret;
}

/* An image's path may be followed by suffixes, as in "disk.img:cow". */
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
 * Refuses paths that lead through a link in a writable share: the guest chooses where such a link
 * points. Shares of the policy still have their links; those of the command line were resolved, so
 * their original paths are checked.
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

static void warn(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

int sandbox_options_policy(struct sandbox_options *options, struct err *err)
{
	const struct policy_risk_ops risks = {.report = warn};
	int ret = policy_load(&options->policy, &options->policy_options, err);

	if (ret == 0 && !options->policy_options.allow_home)
		ret = share_check_reach(options->policy, err);
	if (ret == 0)
		share_warn(options->policy);
	/* In the initramfs, which has no /usr, /bin is a directory. */
	if (ret == 0 && options->rootfs)
		policy_linked_programs(options->policy, &risks);
	if (ret == 0 && options->rootfs && strcmp(options->rootfs, "host") == 0)
		program_links(options->policy, &risks);
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
	if (ret == 0 && options->key && !realpath(options->policy_options.sign, options->key_path))
		ret = err_sys(err, "key %s", options->policy_options.sign);
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

/* Without Cordon's agent nothing in the guest keeps these limits. */
static int check_agent(const struct sandbox_options *options, struct err *err)
{
	const struct policy_limits *limits = policy_limits(options->policy);
	uint64_t millis = options->cpu_millis ? options->cpu_millis : limits->cpu_millis;

	if (millis % 1000)
		return err_set(err, EINVAL,
			       "a fraction of a processor needs Cordon's agent in the "
			       "guest: give whole processors");
	if (options->sandbox.root.read_only)
		return err_set(err, EINVAL, "--read-only needs Cordon's agent in the guest");
	if (limits->open_files)
		return err_set(err, EINVAL, "%s:%u: open-files= needs Cordon's agent in the guest",
			       limits->file[POLICY_LIMIT_OPEN_FILES],
			       limits->line[POLICY_LIMIT_OPEN_FILES]);
	return 0;
}

int sandbox_options_finish(struct sandbox_options *options, bool agent, struct err *err)
{
	struct machine_config *machine = &options->sandbox.machine;
	bool own_kernel = machine->kernel != NULL;
	int ret = 0;

	machine->agent = agent;
	if (options->console)
		machine->console_fd = STDERR_FILENO;
	if (!own_kernel) {
		ret = find_guest_file("vmlinux", options->kernel, err);
		machine->kernel = options->kernel;
	}
	if (ret == 0 && !machine->initrd && (agent || !own_kernel)) {
		ret = find_guest_file("initramfs", options->initrd, err);
		machine->initrd = options->initrd;
	}
	if (ret == 0)
		ret = sandbox_options_policy(options, err);
	return ret == 0 && !agent ? check_agent(options, err) : ret;
}
