/* SPDX-License-Identifier: Apache-2.0 */
/* Shares: a host directory, checked and opened once. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/caseless.h"
#include "vmm/files/internal.h"

#define MAGIC_DEVPTS   0x1cd1
#define MAGIC_CONFIGFS 0x62656570

/* Pseudo file systems: their files are settings, or memory of other processes. */
static const long pseudo[] = {
	PROC_SUPER_MAGIC, SYSFS_MAGIC,	    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
	TRACEFS_MAGIC,	  SECURITYFS_MAGIC, BPF_FS_MAGIC,	BINFMTFS_MAGIC,	     EFIVARFS_MAGIC,
	SELINUX_MAGIC,	  MAGIC_DEVPTS,	    MAGIC_CONFIGFS,	PSTOREFS_MAGIC,
};

/* Local file systems, which do nothing at close(2). Others may be of the network. */
static const long quiet[] = {
	EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC, XFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC,
};

static bool is_one_of(long type, const long *types, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if ((uint32_t)types[i] == (uint32_t)type)
			return true;
	return false;
}

int files_guest_path(char to[FILES_GUEST_MAX], const char *path)
{
	size_t used = 0, length;

	if (path[0] != '/')
		return -EINVAL;
	for (;; path += length) {
		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length == 1 && path[0] == '.')
			continue;
		if (length == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (length > FILES_NAME_MAX || used + length + 2 > FILES_GUEST_MAX)
			return -ENAMETOOLONG;
		to[used++] = '/';
		memcpy(to + used, path, length);
		used += length;
	}
	to[used] = '\0';
	return 0;
}

static int check_file_system(struct files_share *share, const char *host, bool probed,
			     struct err *err)
{
	struct statfs statfs;

	if (fstatfs(share->root_fd, &statfs) < 0)
		return err_sys(err, "%s", host);
	if (is_one_of(statfs.f_type, pseudo, ARRAY_SIZE(pseudo)))
		return err_set(err, EINVAL, "%s: a pseudo file system can't be shared", host);
	share->quiet_close = is_one_of(statfs.f_type, quiet, ARRAY_SIZE(quiet));
	if (probed)
		return 0;
	switch (caseless_probe(share->root_fd, NULL)) {
	case CASELESS_NO:
		return 0;
	case CASELESS_YES:
		return err_set(err, EINVAL,
			       "%s: its file system is not case-sensitive, or has short names, so "
			       "rules about names would not hold: share a copy",
			       host);
	default:
		return err_set(err, EACCES, "%s: it can't be read", host);
	}
}

/* With O_PATH: the directory's own rights decide when it is used. */
static int open_root(const struct files_share_config *config)
{
	if (!config->opened)
		return open(config->host, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return config->probed ? fcntl(*config->opened, F_DUPFD_CLOEXEC, 0)
			      : openat(*config->opened, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int files_share_open(struct files_share *share, const struct files_share_config *config,
		     struct err *err)
{
	int ret;

	*share = (struct files_share){
		.root_fd = -1,
		.read_only = config->read_only || config->host_root,
		.rootfs = config->rootfs,
		.host_root = config->host_root,
		.remember = config->remember,
		.uid = config->uid,
		.gid = config->gid,
		.id_base = config->id_base,
		.host_uid = geteuid(),
		.host_gid = getegid(),
		.guard = config->guard,
		.quota = config->quota,
	};
	ret = files_guest_path(share->guest, config->guest);
	if (ret < 0)
		return err_set(err, -ret,
			       "%s: not a path for a share in the guest: it must be absolute, "
			       "without '..' and shorter than %u bytes",
			       config->guest, FILES_GUEST_MAX);
	share->root_fd = open_root(config);
	if (share->root_fd < 0)
		return err_sys(err, "%s", config->host);
	ret = check_file_system(share, config->host, config->probed, err);
	if (ret < 0)
		files_share_close(share);
	return ret;
}

void files_share_close(struct files_share *share)
{
	fd_close(&share->root_fd);
}
