/* SPDX-License-Identifier: Apache-2.0 */
/* Owners, modes, times and attributes, as the sandbox's root sets them. */
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "tests/integration/programs/files.h"

static int is_owned(const char *path, uid_t uid, gid_t gid)
{
	struct stat status;

	return lstat(path, &status) == 0 && status.st_uid == uid && status.st_gid == gid;
}

void check_owners(void)
{
	int fd = open("owners", O_RDWR | O_CREAT, 0755);

	NEED(fd >= 0 && is_owned("owners", 0, 0));
	NEED(chown("owners", 1000, 1001) == 0 && is_owned("owners", 1000, 1001));
	NEED(chmod("owners", 06755) == 0 && mode_of("owners") == 06755);
	/* A new owner and new contents take set-id bits away. */
	NEED(chown("owners", 1002, (gid_t)-1) == 0 && is_owned("owners", 1002, 1001));
	NEED(mode_of("owners") == 0755);
	NEED(fchmod(fd, 04755) == 0 && mode_of("owners") == 04755);
	NEED(write(fd, "x", 1) == 1 && mode_of("owners") == 0755);
	NEED(fchown(fd, (uid_t)-1, 7) == 0 && is_owned("owners", 1002, 7));
	NEED(fchmod(fd, 06755) == 0 && close(fd) == 0);
	/* Names do not matter, nor does it when the file is a new one under an old name. */
	NEED(link("owners", "owners-2") == 0 && is_owned("owners-2", 1002, 7));
	NEED(rename("owners-2", "owners-3") == 0 && rename("owners", "owners-2") == 0);
	NEED(is_owned("owners-2", 1002, 7) && mode_of("owners-2") == 06755);
	NEED(put_file("owners", "") == 0 && is_owned("owners", 0, 0) && mode_of("owners") == 0644);
	NEED(mkdir("owners-d", 0755) == 0 && chown("owners-d", 3, 4) == 0);
	NEED(chmod("owners-d", 01770) == 0 && is_owned("owners-d", 3, 4));
	NEED(mode_of("owners-d") == 01770);
	/* All bits at once, at the creation and later. */
	fd = open("owners-bits", O_RDWR | O_CREAT | O_EXCL, 07755);
	NEED(fd >= 0 && close(fd) == 0 && mode_of("owners-bits") == 07755);
	NEED(chmod("owners-bits", 0600) == 0 && chmod("owners-bits", 05700) == 0);
	NEED(mode_of("owners-bits") == 05700);
}

/* What one user of the sandbox may not do is what the owners say that the others see. */
void check_users(void)
{
	pid_t child;

	NEED(mkdir("users", 0777) == 0 && chmod("users", 0777) == 0);
	NEED(put_file("users/root", "root's") == 0 && chmod("users/root", 0600) == 0);
	NEED(put_file("users/given", "theirs") == 0 && chmod("users/given", 0600) == 0);
	NEED(chown("users/given", 1000, 1000) == 0);
	child = fork();
	if (child == 0) {
		NEED(setgroups(0, NULL) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
		NEED(open("users/root", O_RDONLY) < 0 && errno == EACCES);
		NEED(chmod("users/root", 0777) < 0 && errno == EPERM);
		NEED(chown("users/given", 0, 0) < 0 && errno == EPERM);
		NEED(has_text("users/given", "theirs") && put_file("users/given", "new") == 0);
		NEED(chmod("users/given", 04700) == 0 && mode_of("users/given") == 04700);
		NEED(put_file("users/made", "1") == 0 && mkdir("users/dir", 0700) == 0);
		NEED(is_owned("users/made", 1000, 1000) && is_owned("users/dir", 1000, 1000));
		_exit(0);
	}
	NEED(ends_well(child));
	NEED(is_owned("users/made", 1000, 1000) && is_owned("users/dir", 1000, 1000));
}

void check_link_owner(void)
{
	NEED(symlink("nowhere", "link-owner") == 0 && is_owned("link-owner", 0, 0));
	NEED(lchown("link-owner", 1000, 1001) == 0 && is_owned("link-owner", 1000, 1001));
	NEED(rename("link-owner", "link-owner-2") == 0 && is_owned("link-owner-2", 1000, 1001));
	NEED(unlink("link-owner-2") == 0 && symlink("nowhere", "link-owner-2") == 0);
	NEED(is_owned("link-owner-2", 0, 0));
}

void check_group_directory(void)
{
	NEED(mkdir("group", 0775) == 0 && chown("group", 0, 50) == 0);
	NEED(chmod("group", 02775) == 0 && mode_of("group") == 02775);
	NEED(put_file("group/file", "") == 0 && is_owned("group/file", 0, 50));
	NEED(mkdir("group/dir", 0755) == 0 && is_owned("group/dir", 0, 50));
	NEED(mode_of("group/dir") == 02755);
}

/* --- files that are none ---------------------------------------------------------------------- */

static int type_of(const char *path)
{
	struct stat status;

	return lstat(path, &status) < 0 ? -1 : (int)(status.st_mode & S_IFMT);
}

void check_special(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "special-socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	umask(0);
	NEED(mkfifo("special-fifo", 0620) == 0 && type_of("special-fifo") == S_IFIFO);
	NEED(mode_of("special-fifo") == 0620 && is_owned("special-fifo", 0, 0));
	NEED(mkfifo("special-fifo", 0620) < 0 && errno == EEXIST);
	NEED(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && close(fd) == 0);
	NEED(type_of("special-socket") == S_IFSOCK);
	NEED(chown("special-fifo", 5, 6) == 0 && chmod("special-fifo", 0660) == 0);
	NEED(rename("special-fifo", "special-moved") == 0 && type_of("special-moved") == S_IFIFO);
	NEED(is_owned("special-moved", 5, 6) && mode_of("special-moved") == 0660);
	NEED(link("special-moved", "special-fifo") == 0 && unlink("special-moved") == 0);
	NEED(type_of("special-fifo") == S_IFIFO);
	NEED(open("special-socket", O_RDONLY) < 0 && errno == ENXIO);
	/* A plain file in its place is one. */
	NEED(unlink("special-socket") == 0 && put_file("special-socket", "x") == 0);
	NEED(type_of("special-socket") == S_IFREG && has_text("special-socket", "x"));
}

/* "devices-c", which is there, is a device node that does not lead to a device. */
void check_devices(void)
{
	struct stat status;

	NEED(stat("devices-c", &status) == 0 && S_ISCHR(status.st_mode));
	NEED(status.st_rdev == makedev(1, 3));
	NEED(open("devices-c", O_RDONLY) < 0 && errno == EACCES);
	NEED(open("devices-c", O_WRONLY | O_CREAT, 0644) < 0 && errno == EACCES);
	NEED(rename("devices-c", "devices-d") == 0 && type_of("devices-d") == S_IFCHR);
}

/* --- the rest --------------------------------------------------------------------------------- */

void check_umask(void)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	char name[32];
	unsigned i;
	int fd;

	for (i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		umask(masks[i]);
		snprintf(name, sizeof(name), "umask-%03o", masks[i]);
		fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0620);
		NEED(fd >= 0 && close(fd) == 0);
		NEED(mode_of(name) == (int)(0620 & ~masks[i]));
		snprintf(name, sizeof(name), "umask-d-%03o", masks[i]);
		NEED(mkdir(name, 01777) == 0 && mode_of(name) == (int)(01777 & ~masks[i]));
		snprintf(name, sizeof(name), "umask-p-%03o", masks[i]);
		NEED(mkfifo(name, 0666) == 0 && mode_of(name) == (int)(0666 & ~masks[i]));
	}
}

void check_times(void)
{
	const struct timespec fine[2] = {{1600000000, 123456789}, {1700000000, 987654321}};
	const struct timespec old[2] = {{0, UTIME_OMIT}, {-86400, 0}};
	struct stat status;

	NEED(put_file("times", "x") == 0 && symlink("times", "times-link") == 0);
	NEED(utimensat(AT_FDCWD, "times", fine, 0) == 0 && stat("times", &status) == 0);
	NEED(status.st_mtim.tv_sec == 1700000000 && status.st_mtim.tv_nsec == 987654321);
	NEED(status.st_atim.tv_sec == 1600000000 && status.st_atim.tv_nsec == 123456789);
	NEED(utimensat(AT_FDCWD, "times", old, 0) == 0 && stat("times", &status) == 0);
	NEED(status.st_mtim.tv_sec == -86400 && status.st_mtim.tv_nsec == 0);
	NEED(status.st_atim.tv_sec == 1600000000 && status.st_atim.tv_nsec == 123456789);
	NEED(utimensat(AT_FDCWD, "times-link", fine, AT_SYMLINK_NOFOLLOW) == 0);
	NEED(lstat("times-link", &status) == 0 && status.st_mtim.tv_nsec == 987654321);
	NEED(stat("times", &status) == 0 && status.st_mtim.tv_sec == -86400);
	NEED(utimensat(AT_FDCWD, ".", fine, 0) == 0 && stat(".", &status) == 0);
	NEED(status.st_mtim.tv_sec == 1700000000 && status.st_mtim.tv_nsec == 987654321);
	/* A change sets the time anew. */
	NEED(put_file("times", "y") == 0 && stat("times", &status) == 0);
	NEED(status.st_mtim.tv_sec > 1700000000);
}

void check_attributes(void)
{
	char value[64];

	NEED(put_file("attributes", "") == 0);
	NEED(setxattr("attributes", "user.empty", "", 0, 0) == 0);
	NEED(getxattr("attributes", "user.empty", value, sizeof(value)) == 0);
	NEED(setxattr("attributes", "user.a", "value", 5, XATTR_CREATE) == 0);
	NEED(setxattr("attributes", "user.a", "other", 5, XATTR_CREATE) < 0 && errno == EEXIST);
	NEED(getxattr("attributes", "user.a", value, sizeof(value)) == 5);
	NEED(memcmp(value, "value", 5) == 0);
	NEED(listxattr("attributes", value, sizeof(value)) == sizeof("user.empty\0user.a"));
	NEED(removexattr("attributes", "user.empty") == 0);
	NEED(getxattr("attributes", "user.empty", value, sizeof(value)) < 0 && errno == ENODATA);
	NEED(getxattr("attributes", "user.a", value, 2) < 0 && errno == ERANGE);
}

/* Of a file that has one. */
void check_own_attribute(void)
{
	static const char name[] = "user.cordon.stat";
	char value[64];

	NEED(put_file("own", "") == 0 && chown("own", 1000, 1000) == 0);
	NEED(listxattr("own", value, sizeof(value)) == 0);
	NEED(getxattr("own", name, value, sizeof(value)) < 0 && errno == ENODATA);
	NEED(setxattr("own", name, "0:0:0:0", 7, 0) < 0 && (errno == EPERM || errno == EACCES));
	NEED(setxattr("own", "user.cordon.x", "", 0, 0) < 0 && (errno == EPERM || errno == EACCES));
	NEED(removexattr("own", name) < 0);
	NEED(is_owned("own", 1000, 1000));
	NEED(setxattr("own", "user.cordons", "1", 1, 0) == 0);
}
