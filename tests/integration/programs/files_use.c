/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, holes, names, pipes, sockets, and what the kernel says of changes. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "tests/integration/programs/files.h"

/* musl's compiler wrapper does not see the kernel's headers. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_ADD_RULE	445
#define LANDLOCK_RESTRICT_SELF	446
#define LANDLOCK_READ_FILE	(1ull << 2)
#define NO_REPLACE		1
#define EXCHANGE		2

void check_maps(void)
{
	char *map, *second, text[16] = "";
	int fd = open("maps", O_RDWR | O_CREAT | O_EXCL, 0644);
	pid_t child;

	NEED(fd >= 0 && ftruncate(fd, 8192) == 0);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(map != MAP_FAILED);
	strcpy(map, "first");
	strcpy(map + 5000, "second");
	NEED(pread(fd, text, 7, 5000) == 7 && strcmp(text, "second") == 0);
	NEED(pwrite(fd, "third", 6, 100) == 6 && strcmp(map + 100, "third") == 0);
	child = fork();
	if (child == 0) {
		fd = open("maps", O_RDWR);
		second = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		NEED(second != MAP_FAILED && strcmp(second, "first") == 0);
		strcpy(second + 200, "fourth");
		_exit(0);
	}
	NEED(ends_well(child) && strcmp(map + 200, "fourth") == 0);
	NEED(msync(map, 8192, MS_SYNC) == 0 && munmap(map, 8192) == 0 && close(fd) == 0);
	fd = open("maps", O_RDONLY);
	NEED(pread(fd, text, 7, 200) == 7 && strcmp(text, "fourth") == 0);
	NEED(mmap(NULL, 8192, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
}

/* What a map has changed is in the file once a descriptor is closed: another name's inode reads it.
 */
void check_map_closed(void)
{
	int fd = open("map-closed", O_RDWR | O_CREAT | O_EXCL, 0644);
	char *map;

	NEED(fd >= 0 && write(fd, "before", 6) == 6 && link("map-closed", "map-closed-2") == 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(map != MAP_FAILED);
	memcpy(map, "behind", 6);
	NEED(close(fd) == 0 && has_text("map-closed-2", "behind"));
	NEED(munmap(map, 4096) == 0);
}

/* open(2) with O_CREAT of what was made elsewhere: existing-f, -d, -t, and -l, a link to -none. */
void check_existing(void)
{
	const int create = O_WRONLY | O_CREAT;
	struct stat status;
	int fd;

	NEED(open("existing-f", create | O_EXCL, 0600) < 0 && errno == EEXIST);
	NEED(open("existing-d", create, 0600) < 0 && errno == EISDIR);
	NEED(open("existing-l", create | O_EXCL, 0600) < 0 && errno == EEXIST);
	NEED(open("existing-l", create | O_NOFOLLOW, 0600) < 0 && errno == ELOOP);
	NEED(access("existing-none", F_OK) < 0 && errno == ENOENT);
	fd = open("existing-l", create, 0600);
	NEED(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0 && has_text("existing-none", "x"));
	fd = open("existing-t", create | O_TRUNC, 0600);
	NEED(fd >= 0 && fstat(fd, &status) == 0 && status.st_size == 0 && close(fd) == 0);
	fd = open("existing-f", O_RDONLY | O_CREAT, 0600);
	NEED(fd >= 0 && close(fd) == 0 && has_text("existing-f", "text"));
	NEED(open("none/existing", create, 0600) < 0 && errno == ENOENT);
	NEED(open("existing-f/existing", create, 0600) < 0 && errno == ENOTDIR);
}

void check_sparse(void)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char block[4096];
	struct stat status;
	int fd = open("sparse", O_RDWR | O_CREAT | O_EXCL, 0644), copy;
	off_t from = 0, to = 100;

	NEED(fd >= 0 && fallocate(fd, 0, 0, 65536) == 0 && fstat(fd, &status) == 0);
	NEED(status.st_size == 65536);
	memset(block, 'x', sizeof(block));
	NEED(pwrite(fd, block, sizeof(block), 8192) == sizeof(block));
	NEED(pwrite(fd, block, sizeof(block), 12288) == sizeof(block));
	NEED(fallocate(fd, hole, 8192, 4096) == 0);
	NEED(pread(fd, block, sizeof(block), 8192) == sizeof(block) && block[0] == '\0');
	NEED(pread(fd, block, sizeof(block), 12288) == sizeof(block) && block[0] == 'x');
	NEED(fstat(fd, &status) == 0 && status.st_size == 65536);
	copy = open("sparse-copy", O_RDWR | O_CREAT | O_EXCL, 0644);
	from = 12288;
	NEED(copy >= 0 && copy_file_range(fd, &from, copy, &to, 4096, 0) == 4096);
	NEED(fstat(copy, &status) == 0 && status.st_size == 4196);
	NEED(pread(copy, block, 200, 0) == 200 && block[99] == '\0' && block[100] == 'x');
	NEED(ftruncate(copy, 1 << 20) == 0 && lseek(copy, 0, SEEK_HOLE) <= 1 << 20);
	NEED(lseek(copy, 1 << 20, SEEK_DATA) < 0 && errno == ENXIO);
	NEED(fsync(copy) == 0 && fdatasync(copy) == 0 && close(copy) == 0 && close(fd) == 0);
}

static int move(const char *from, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

void check_names(void)
{
	char longest[257];
	struct stat status;
	int fd;

	NEED(put_file("names-a", "a") == 0 && put_file("names-b", "b") == 0);
	NEED(move("names-a", "names-b", NO_REPLACE) < 0 && errno == EEXIST);
	NEED(move("names-a", "names-b", EXCHANGE) == 0 && has_text("names-a", "b"));
	fd = open("names-b", O_RDONLY);
	NEED(fd >= 0 && rename("names-a", "names-b") == 0 && has_text("names-b", "b"));
	NEED(fstat(fd, &status) == 0 && status.st_nlink == 0 && status.st_size == 1);
	NEED(read(fd, longest, 2) == 1 && longest[0] == 'a' && close(fd) == 0);
	NEED(mkdir("names-d", 0755) == 0 && put_file("names-d/x", "") == 0);
	NEED(rmdir("names-d") < 0 && errno == ENOTEMPTY);
	NEED(unlink("names-d") < 0 && errno == EISDIR);
	NEED(rename("names-d", "names-d/y") < 0 && errno == EINVAL);
	NEED(rename("names-d", "names-e") == 0 && stat("names-e/x", &status) == 0);
	memset(longest, 'n', 256);
	longest[256] = '\0';
	NEED(put_file(longest, "") < 0 && errno == ENAMETOOLONG);
	longest[255] = '\0';
	NEED(put_file(longest, "l") == 0 && has_text(longest, "l") && unlink(longest) == 0);
	NEED(stat("names-b/x", &status) < 0 && errno == ENOTDIR);
}

void check_nameless(void)
{
	char path[32];
	struct stat status;
	int fd = open(".", O_RDWR | O_TMPFILE, 0640);

	NEED(fd >= 0 && write(fd, "late", 4) == 4);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	NEED(linkat(AT_FDCWD, path, AT_FDCWD, "nameless", AT_SYMLINK_FOLLOW) == 0);
	NEED(has_text("nameless", "late") && mode_of("nameless") == 0640);
	NEED(fstat(fd, &status) == 0 && status.st_nlink == 1 && close(fd) == 0);
	fd = open("nameless", O_RDWR);
	NEED(fd >= 0 && unlink("nameless") == 0 && pwrite(fd, "LA", 2, 0) == 2);
	NEED(pread(fd, path, 4, 0) == 4 && memcmp(path, "LAte", 4) == 0);
	NEED(ftruncate(fd, 1) == 0 && fstat(fd, &status) == 0 && status.st_size == 1);
	NEED(fchmod(fd, 0600) == 0 && fstat(fd, &status) == 0 && (status.st_mode & 0777) == 0600);
}

/* Each name once, also while names are removed. */
void check_listing(void)
{
	struct dirent *entry;
	char name[40];
	DIR *directory;
	int i, seen = 0;

	NEED(mkdir("listing", 0755) == 0);
	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "listing/a-name-of-a-file-%d", i);
		NEED(put_file(name, "") == 0);
	}
	directory = opendir("listing");
	NEED(directory);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		seen++;
		NEED(entry->d_type == DT_REG && unlinkat(dirfd(directory), entry->d_name, 0) == 0);
	}
	NEED(seen == 60 && closedir(directory) == 0 && rmdir("listing") == 0);
}

/* --- between processes ------------------------------------------------------------------------ */

void check_fifo(void)
{
	char text[16] = "";
	struct stat status;
	pid_t child;
	int fd;

	NEED(mkfifo("fifo", 0600) == 0);
	NEED(open("fifo", O_WRONLY | O_NONBLOCK) < 0 && errno == ENXIO);
	child = fork();
	if (child == 0) {
		fd = open("fifo", O_WRONLY);
		NEED(fd >= 0 && write(fd, "through", 7) == 7);
		_exit(0);
	}
	fd = open("fifo", O_RDONLY);
	NEED(fd >= 0 && read(fd, text, sizeof(text)) == 7 && strcmp(text, "through") == 0);
	NEED(ends_well(child) && read(fd, text, sizeof(text)) == 0);
	NEED(link("fifo", "kept") == 0 && unlink("fifo") == 0 && fstat(fd, &status) == 0);
	NEED(status.st_mode == (S_IFIFO | 0600) && close(fd) == 0 && rename("kept", "fifo") == 0);
}

void check_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	char text[16] = "";
	pid_t child;

	NEED(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	NEED(listen(listener, 1) == 0);
	child = fork();
	if (child == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		NEED(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
		NEED(write(fd, "hello", 5) == 5 && read(fd, text, 2) == 2);
		_exit(0);
	}
	fd = accept(listener, NULL, NULL);
	NEED(fd >= 0 && read(fd, text, sizeof(text)) == 5 && write(fd, "ok", 2) == 2);
	NEED(ends_well(child) && close(fd) == 0 && close(listener) == 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	NEED(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0);
	NEED(errno == ECONNREFUSED);
	NEED(bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == EADDRINUSE);
}

/* Which events of a file or directory another process's changes of a path cause. */
static uint32_t events(const char *watched, const char *written)
{
	char bytes[4096] __attribute__((aligned(8)));
	struct inotify_event *event = (struct inotify_event *)bytes;
	int fd = inotify_init1(IN_NONBLOCK);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint32_t seen = 0;
	ssize_t n, at;

	if (inotify_add_watch(fd, watched, IN_CREATE | IN_MODIFY | IN_DELETE) < 0)
		return 0;
	if (fork() == 0)
		_exit(put_file(written, "x") < 0);
	while (!(seen & IN_MODIFY) && poll(&poll_fd, 1, 5000) > 0 &&
	       (n = read(fd, bytes, sizeof(bytes))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (struct inotify_event *)(bytes + at);
			seen |= event->mask;
		}
	return close(fd) < 0 ? 0 : seen;
}

void check_inotify(void)
{
	NEED(mkdir("inotify", 0755) == 0 && put_file("inotify/old", "") == 0);
	NEED((events("inotify", "inotify/new") & (IN_CREATE | IN_MODIFY)) ==
	     (IN_CREATE | IN_MODIFY));
	NEED(events("inotify/old", "inotify/old") & IN_MODIFY);
}

/* A process restricts itself to what is beneath a directory. */
void check_landlock(void)
{
	struct {
		uint64_t allowed;
		int32_t fd;
	} __attribute__((packed)) beneath = {.allowed = LANDLOCK_READ_FILE};
	uint64_t handled = LANDLOCK_READ_FILE;
	int rules;

	NEED(mkdir("landlock", 0755) == 0 && mkdir("landlock/in", 0755) == 0);
	NEED(put_file("landlock/in/file", "x") == 0 && put_file("landlock/out", "x") == 0);
	beneath.fd = open("landlock/in", O_PATH | O_DIRECTORY);
	rules = (int)syscall(LANDLOCK_CREATE_RULESET, &handled, sizeof(handled), 0);
	NEED(rules >= 0 && syscall(LANDLOCK_ADD_RULE, rules, 1, &beneath, 0) == 0);
	NEED(close(beneath.fd) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(syscall(LANDLOCK_RESTRICT_SELF, rules, 0) == 0);
	NEED(has_text("landlock/in/file", "x"));
	NEED(open("landlock/out", O_RDONLY) < 0 && errno == EACCES);
}
