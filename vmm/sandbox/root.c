/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/spawn.h"
#include "vmm/sandbox/shares.h"

/* --- the option ------------------------------------------------------------------------------- */

/* The superblock of erofs, as in Linux's Documentation/filesystems/erofs.rst. */
#define EROFS_SUPER	  1024
#define EROFS_MAGIC	  0xe0f5e1e2u
#define EROFS_AT_INCOMPAT 80
#define EROFS_COMPRESSED  3u /* compressed data, and a table of how */

static const char *const types[] = {"ext4", "squashfs", "erofs"};

/* Applies one suffix after a colon; false if it is not one of ours. */
static bool take_suffix(struct root_config *config, const char *suffix)
{
	size_t i;

	if (strcmp(suffix, "ro") == 0 || strcmp(suffix, "cow") == 0) {
		config->copy_on_write = suffix[0] == 'c';
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(suffix, types[i]) == 0) {
			snprintf(config->type, sizeof(config->type), "%s", suffix);
			return true;
		}
	}
	return false;
}

int root_parse(struct root_config *config, const char *text, struct err *err)
{
	char path[PATH_MAX], *colon;
	struct stat status;

	config->copy_on_write = false;
	config->type[0] = '\0';
	if (snprintf(path, sizeof(path), "%s", text) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "the path is too long");
	/* A path may contain colons: only known suffixes are cut off. */
	while ((colon = strrchr(path, ':')) && take_suffix(config, colon + 1))
		*colon = '\0';
	if (!realpath(path, config->image) || stat(config->image, &status) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return err_set(err, EINVAL, "%s: neither an image's file nor a block device", path);
	return 0;
}

/* --- the disks -------------------------------------------------------------------------------- */

/*
 * Finds the type of an image's file system by its magic number. This is safe because no guest
 * writes to an image: only its maker chooses the type.
 */
static int probe_type(struct root *root, struct disk *image, struct err *err)
{
	uint8_t head[2048] = {0};

	if (disk_bytes(image) >= sizeof(head) &&
	    disk_read(image, 0, head, sizeof(head)) == sizeof(head)) {
		if (memcmp(head, "hsqs", 4) == 0)
			strcpy(root->type, "squashfs");
		else if (load_le16(head + 1024 + 0x38) == 0xef53)
			strcpy(root->type, "ext4");
		else if (load_le32(head + EROFS_SUPER) == EROFS_MAGIC)
			strcpy(root->type, "erofs");
	}
	if (root->type[0])
		return 0;
	return err_set(err, EINVAL,
		       "%s: has no ext4, squashfs or erofs (an image is the file system itself, "
		       "without partitions, uncompressed)",
		       root->image);
}

/* The guest's kernel reads only uncompressed erofs: an image of mkfs.erofs -z is refused here. */
static int check_erofs(const struct root *root, struct disk *image, struct err *err)
{
	uint8_t head[EROFS_SUPER + EROFS_AT_INCOMPAT + 4] = {0};

	if (disk_bytes(image) < sizeof(head) || disk_read(image, 0, head, sizeof(head)) < 0)
		return 0; /* the guest reports what is wrong with it */
	if (load_le32(head + EROFS_SUPER) == EROFS_MAGIC &&
	    (load_le32(head + EROFS_SUPER + EROFS_AT_INCOMPAT) & EROFS_COMPRESSED))
		return err_set(err, ENOTSUP,
			       "%s: a compressed erofs, which the guest's kernel does not read: "
			       "make it without -z, or a squashfs",
			       root->image);
	return 0;
}

/* An OCI image of the cache, which Cordon made: an erofs. It is the same image wherever it is. */
static int open_cached(struct root *root, const struct root_config *config, struct err *err)
{
	int ret = image_open(&root->in_use, &config->cached, err);

	if (ret < 0)
		return ret;
	snprintf(root->image, sizeof(root->image), "sha256:%.12s", config->cached.hex);
	strcpy(root->type, "erofs");
	root->request.lower = AGENT_LOWER_DISK;
	root->request.lower_number = MACHINE_DISK_IMAGE;
	root->request.read_only = true;
	root->request.upper = AGENT_UPPER_TMPFS;
	return disk_open_file(&root->disk[MACHINE_DISK_IMAGE], root->in_use.fd, root->image,
			      root->in_use.contents, err);
}

/* Makes an empty ext4 on a scratch disk. Nothing on it is worth a journal or checksums. */
static int make_file_system(struct disk *disk, struct err *err)
{
	static const char *const programs[] = {"/sbin/mke2fs", "/usr/sbin/mke2fs", "mke2fs"};
	char path[32], size[32];
	char *argv[] = {(char[]){"mke2fs"},
			(char[]){"-q"},
			(char[]){"-F"},
			(char[]){"-t"},
			(char[]){"ext4"},
			(char[]){"-b"},
			(char[]){"4096"},
			(char[]){"-m"},
			(char[]){"0"},
			(char[]){"-O"},
			(char[]){"^has_journal,^metadata_csum,^resize_inode"},
			(char[]){"-E"},
			(char[]){"lazy_itable_init=1,assume_storage_prezeroed=1,nodiscard"},
			path,
			size,
			NULL};
	int fd[] = {-1, -1, STDERR_FILENO, -1}, status, ret = -ENOENT;
	pid_t pid;
	size_t i;

	disk_private_path(disk, path);
	snprintf(size, sizeof(size), "%lluk", (unsigned long long)disk_bytes(disk) / 1024);
	/* mke2fs gets the file as descriptor 3. */
	fd[3] = (int)strtol(strrchr(path, '/') + 1, NULL, 10);
	strcpy(path, "/proc/self/fd/3");
	for (i = 0; ret == -ENOENT && i < ARRAY_SIZE(programs); i++)
		ret = spawn_program(&pid, SPAWN_TOOL, programs[i], argv, fd, ARRAY_SIZE(fd));
	if (ret == -ENOENT)
		return err_set(err, ENOENT,
			       "a disk needs mke2fs for its file system: install e2fsprogs");
	if (ret < 0)
		return err_code(err, -ret, "mke2fs");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, EIO, "mke2fs could not make a file system of %s bytes", size);
	return 0;
}

static int open_scratch(struct root *root, const struct root_config *config, struct err *err)
{
	int ret = disk_create_scratch(&root->disk[MACHINE_DISK_WRITABLE], config->disk_bytes, err);

	if (ret == 0)
		ret = make_file_system(root->disk[MACHINE_DISK_WRITABLE], err);
	root->request.upper = AGENT_UPPER_DISK;
	root->request.upper_number = MACHINE_DISK_WRITABLE;
	return ret;
}

static int open_image(struct root *root, const struct root_config *config, struct err *err)
{
	uint64_t limit = config->disk_bytes ? config->disk_bytes : ROOT_LAYER_DEFAULT;
	unsigned number = config->copy_on_write ? MACHINE_DISK_WRITABLE : MACHINE_DISK_IMAGE;
	struct disk *image;
	int ret;

	memcpy(root->image, config->image, sizeof(root->image));
	memcpy(root->type, config->type, sizeof(root->type));
	ret = disk_open_image(&image, config->image, err);
	if (ret < 0)
		return ret;
	root->disk[number] = image;
	root->request.lower = AGENT_LOWER_DISK;
	root->request.lower_number = number;
	root->request.read_only = !config->copy_on_write;
	root->request.upper = config->copy_on_write ? AGENT_UPPER_NONE : AGENT_UPPER_TMPFS;
	ret = root->type[0] ? 0 : probe_type(root, image, err);
	if (ret == 0 && strcmp(root->type, "erofs") == 0)
		ret = check_erofs(root, image, err);
	if (ret == 0 && config->copy_on_write && strcmp(root->type, "ext4") != 0)
		ret = err_set(err, EINVAL, "%s: %s can't be written to: leave out ':cow'",
			      config->image, root->type);
	if (ret == 0 && config->copy_on_write)
		ret = disk_create_overlay(&root->disk[number], image, limit, err);
	return ret;
}

/* --- a directory of the host ------------------------------------------------------------------ */

static void open_served(struct root *root, const struct root_config *config)
{
	root->served = true;
	root->request.lower = AGENT_LOWER_SHARE;
	root->request.lower_number = SHARES_ROOT;
	root->request.read_only = true;
	root->request.bare = config->host;
	root->request.upper = AGENT_UPPER_TMPFS;
	strcpy(root->type, "virtiofs");
	snprintf(root->image, sizeof(root->image), "%s",
		 config->host ? "the host's files" : config->directory);
}

void root_share(const struct root_config *config, char path[PATH_MAX],
		struct files_share_config *share)
{
	snprintf(path, PATH_MAX, "%s", config->host ? "/" : config->directory);
	*share = (struct files_share_config){
		.host = path,
		.guest = "/",
		.read_only = true,
		.rootfs = true,
		.host_root = config->host,
	};
}

static bool is_served(const struct root_config *config)
{
	return config->directory[0] || config->host;
}

bool root_is_builtin(const struct root_config *config)
{
	return !config->image[0] && !config->cached.hex[0] && !is_served(config);
}

int root_open(struct root *root, const struct root_config *config, struct err *err)
{
	int ret = 0;

	*root = (struct root){
		.in_use = {.fd = -1, .lock_fd = -1},
		.wanted = config->image[0] || config->disk_bytes || is_served(config) ||
			  config->cached.hex[0],
	};
	root->request.lower = AGENT_LOWER_PRESENT;
	root->request.type = root->type;
	if (config->disk_bytes && config->disk_bytes < ROOT_DISK_MIN)
		return err_set(err, EINVAL, "a disk of %llu bytes is too small: 1M and more",
			       (unsigned long long)config->disk_bytes);
	if (is_served(config))
		open_served(root, config);
	else if (config->cached.hex[0])
		ret = open_cached(root, config, err);
	else if (config->image[0])
		ret = open_image(root, config, err);
	if (ret == 0 && config->disk_bytes && !config->copy_on_write)
		ret = open_scratch(root, config, err);
	if (ret < 0)
		root_close(root);
	return ret;
}

int root_open_again(struct root *root, const struct root_config *config, struct err *err)
{
	struct root_config again = *config;
	int ret;

	again.image[0] = '\0';
	again.disk_bytes = 0;
	if (!is_served(config) && !config->cached.hex[0])
		return 0;
	ret = root_open(root, &again, err);
	root->present = true;
	return ret;
}

void root_close(struct root *root)
{
	unsigned i;

	for (i = 0; i < MACHINE_DISKS; i++) {
		disk_destroy(root->disk[i]);
		root->disk[i] = NULL;
	}
	if (root->wanted)
		image_close(&root->in_use);
}

/* --- the agent -------------------------------------------------------------------------------- */

int root_request(struct root *root, const struct root_config *config,
		 struct machine_devices *devices, struct agent_channel *channel,
		 const struct agent_reply *reply, struct err *err)
{
	unsigned i;
	int ret;

	for (i = 0; i < MACHINE_DISKS; i++) {
		if (!root->disk[i])
			continue;
		blk_set_limits(devices->blk[i], config->bytes_per_second,
			       config->operations_per_second);
		ret = devices_set_disk(devices, i, root->disk[i], err);
		root->disk[i] = NULL;
		if (ret < 0)
			return ret;
	}
	ret = agent_channel_set_root(channel, &root->request, reply);
	return ret < 0 ? err_code(err, -ret, "the request to the agent") : 0;
}

void root_explain(const struct root *root, int error, struct err *err)
{
	const char *image = root->image[0] ? root->image : "the sandbox's disk";
	const char *type = root->image[0] ? root->type : "ext4";

	if (error == EOPNOTSUPP)
		err_set(err, error,
			"%s: the agent in the guest is too old for it: use an initramfs of this "
			"version",
			image);
	else if (error == ENODEV)
		err_set(err, error, "%s: the guest's kernel does not know %s", image, type);
	else if (error == ENOTDIR)
		err_set(err, error,
			"%s: dev, proc, sys and run must be directories in it, or not be there",
			image);
	else if (error == EINVAL || error == EUCLEAN)
		err_set(err, error, "%s: the guest does not find a sound %s in it", image, type);
	else
		err_code(err, error, "%s: the guest could not make it its root (%s)", image, type);
}
