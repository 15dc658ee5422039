/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaces the sandbox's root file system by one built from layers in a tmpfs, which the new root
 * then covers.
 *
 * The old sandbox stays untouched until the new root is complete. Guest root mounts the layers. A
 * lower layer that does not use the sandbox's ids gets an idmapped mount, so that files of uid 0
 * in it belong to sandbox root.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/agent.h"
#include "guest-kernel/agent/linux.h"
#include "guest-kernel/agent/root.h"

/* Covers the empty directory of that name in the first root, which so stays empty. */
#define STAGE "/mnt"
#define SAFE  (MS_NOSUID | MS_NODEV)

/* How long a disk's size may take to appear: the kernel reads it in a thread of its own. */
#define DISK_WAIT_MS 10000

struct request {
	uint32_t lower, lower_number, flags, upper, upper_number;
	char type[AGENT_ROOT_TYPE_MAX + 1];
};

/* 0 or an errno value. Refuses values of future versions rather than misinterpret them. */
static int parse(struct request *request, const uint8_t *payload, size_t length)
{
	size_t i;

	*request = (struct request){
		.lower = agent_get32(payload + AGENT_ROOT_AT_LOWER),
		.lower_number = agent_get32(payload + AGENT_ROOT_AT_LOWER_NUMBER),
		.flags = agent_get32(payload + AGENT_ROOT_AT_FLAGS),
		.upper = agent_get32(payload + AGENT_ROOT_AT_UPPER),
		.upper_number = agent_get32(payload + AGENT_ROOT_AT_UPPER_NUMBER),
	};
	memcpy(request->type, payload + AGENT_ROOT_SIZE, length - AGENT_ROOT_SIZE);
	for (i = 0; i < length - AGENT_ROOT_SIZE; i++)
		if (!isalnum((unsigned char)request->type[i]))
			return EINVAL;
	if ((request->lower > AGENT_LOWER_DISK && request->lower != AGENT_LOWER_SHARE) ||
	    (request->flags & ~(AGENT_ROOT_READ_ONLY | AGENT_ROOT_BARE)) ||
	    request->upper > AGENT_UPPER_DISK)
		return EOPNOTSUPP;
	/* The present root's programs are mounts in it, which bring_mounts() adds to overlays only.
	 */
	if (request->lower == AGENT_LOWER_PRESENT && request->upper == AGENT_UPPER_NONE)
		return EINVAL;
	return 0;
}

/* Waits until a disk has a size and returns the path of its device. 0 or -errno. */
static int find_disk(uint32_t number, char path[32])
{
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t bytes = 0;
	unsigned waited = 0;
	int fd, ret;

	if (number >= AGENT_DISKS_MAX)
		return -ENODEV;
	snprintf(path, 32, STAGE "/dev/vd%c", 'a' + (int)number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((ret = ioctl(fd, IOCTL_DEVICE_SIZE, &bytes)) == 0 && bytes == 0 &&
	       waited++ < DISK_WAIT_MS)
		nanosleep(&pause, NULL);
	if (ret < 0 || bytes == 0)
		ret = ret < 0 ? -errno : -ENXIO;
	close(fd);
	return ret;
}

/* Moves the mount at `from` to `to`, with all ids of the sandbox shifted to the guest's. */
static int shift_ids(const char *from, const char *to)
{
	struct mount_attributes attributes = {.set = MOUNT_IDMAP};
	int users = sandbox_users(), tree = -1, ret = users < 0 ? users : 0;

	if (ret == 0) {
		attributes.userns_fd = (uint64_t)users;
		tree = (int)syscall(SYS_open_tree, AT_FDCWD, from, TREE_CLONE | O_CLOEXEC);
		if (tree < 0 ||
		    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes,
			    sizeof(attributes)) < 0 ||
		    syscall(SYS_move_mount, tree, "", AT_FDCWD, to, MOVE_FROM_EMPTY) < 0 ||
		    umount2(from, MNT_DETACH) < 0)
			ret = -errno;
	}
	close_fd(&tree);
	close_fd(&users);
	return ret;
}

static int mount_lower(const struct request *request)
{
	unsigned long flags = SAFE | (request->flags & AGENT_ROOT_READ_ONLY ? MS_RDONLY : 0);
	char disk[32];
	int ret;

	if (request->lower == AGENT_LOWER_PRESENT)
		return mount("/", STAGE "/lower", NULL, MS_BIND, NULL) < 0 ? -errno : 0;
	if (request->lower == AGENT_LOWER_SHARE)
		return files_mount(request->lower_number, request->flags & AGENT_ROOT_READ_ONLY,
				   STAGE "/lower");
	ret = find_disk(request->lower_number, disk);
	if (ret < 0)
		return ret;
	if (mount(disk, STAGE "/plain", request->type, flags, NULL) < 0)
		return -errno;
	return shift_ids(STAGE "/plain", STAGE "/lower");
}

/* An overlay's top directory has mode and owner of its upper layer: copy the image's to that. */
static int make_upper(void)
{
	struct stat stat;

	if (lstat(STAGE "/lower", &stat) < 0 || mkdir(STAGE "/over/upper", 0755) < 0 ||
	    mkdir(STAGE "/over/work", 0755) < 0 ||
	    chown(STAGE "/over/upper", stat.st_uid, stat.st_gid) < 0 ||
	    chmod(STAGE "/over/upper", stat.st_mode & 01777) < 0)
		return -errno;
	return 0;
}

static int mount_upper(const struct request *request)
{
	char disk[32];
	int ret;

	if (request->upper == AGENT_UPPER_DISK) {
		ret = find_disk(request->upper_number, disk);
		if (ret == 0 && mount(disk, STAGE "/over", "ext4", SAFE, NULL) < 0)
			ret = -errno;
		if (ret < 0)
			return ret;
	}
	ret = make_upper();
	if (ret == 0 &&
	    mount("overlay", STAGE "/root", "overlay", SAFE,
		  "lowerdir=" STAGE "/lower,upperdir=" STAGE "/over/upper,workdir=" STAGE
		  "/over/work,redirect_dir=on,index=off,metacopy=off") < 0)
		ret = -errno;
	return ret;
}

/* An overlay hides mounts in its lower layer, such as the programs of the initramfs: add them. */
static int bring_mounts(void)
{
	static const char *const names[] = {"bin", "etc", "lib", "lib64", "opt", "sbin", "usr"};
	struct stat top, stat;
	char from[16], to[32];
	size_t i;

	if (lstat("/", &top) < 0)
		return -errno;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(from, sizeof(from), "/%s", names[i]);
		snprintf(to, sizeof(to), STAGE "/root/%s", names[i]);
		if (lstat(from, &stat) == 0 && S_ISDIR(stat.st_mode) && stat.st_dev != top.st_dev &&
		    mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
			return -errno;
	}
	return 0;
}

/* Mounts a tmpfs with a directory for each mount; it also holds the overlay in memory. */
static int make_stage(void)
{
	static const char *const directories[] = {STAGE "/dev", STAGE "/plain", STAGE "/lower",
						  STAGE "/over", STAGE "/root"};
	char options[ROOT_OPTIONS_SIZE];
	size_t i;

	if (mount("stage", STAGE, "tmpfs", MS_NOSUID, root_memory(options, "mode=700")) < 0)
		return -errno;
	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (mkdir(directories[i], 0700) < 0)
			return -errno;
	if (mount("devtmpfs", STAGE "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL) < 0)
		return -errno;
	return 0;
}

static int build(const struct request *request)
{
	const char *top = STAGE "/lower";
	int ret = make_stage();

	if (ret == 0)
		ret = mount_lower(request);
	if (ret == 0 && request->upper != AGENT_UPPER_NONE) {
		ret = mount_upper(request);
		top = STAGE "/root";
	}
	if (ret == 0 && request->lower == AGENT_LOWER_PRESENT)
		ret = bring_mounts();
	if (ret == 0 && chdir(top) < 0)
		ret = -errno;
	return ret == 0 ? root_complete(request->flags & AGENT_ROOT_BARE) : ret;
}

uint32_t root_replace(const uint8_t *payload, size_t length)
{
	static bool replaced;
	struct request request;
	int ret = parse(&request, payload, length);

	if (ret || replaced)
		return ret ? (uint32_t)ret : EALREADY;
	ret = sandbox_enter();
	if (ret == 0)
		ret = build(&request);
	if (ret == 0) {
		sandbox_leave();
		ret = root_enter();
	}
	if (ret < 0) {
		agent_log("replacing the root file system: %s", strerror(-ret));
		if (chdir("/") < 0 || umount2(STAGE, MNT_DETACH) < 0)
			agent_log("cannot undo replacing the root file system: %s",
				  strerror(errno));
		sandbox_enter();
		return (uint32_t)-ret;
	}
	replaced = true;
	return (uint32_t)-sandbox_enter();
}
