/* SPDX-License-Identifier: Apache-2.0 */
/* What stays open while something happens outside: these checks wait for lines on stdin. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/integration/programs/files.h"

static int wait_for_line(void)
{
	char byte;

	fflush(stdout);
	while (read(0, &byte, 1) == 1)
		if (byte == '\n')
			return 1;
	return 0;
}

static const char *result(long value)
{
	return value >= 0	  ? "ok"
	       : errno == EACCES  ? "EACCES"
	       : errno == ENOENT  ? "ENOENT"
	       : errno == ESTALE  ? "ESTALE"
	       : errno == EBADF	  ? "EBADF"
	       : errno == ENOTSUP ? "ENOTSUP"
				  : strerror(errno);
}

/* --- under another policy --------------------------------------------------------------------- */

static int open_with(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);

	NEED(fd >= 0 && write(fd, "text", 4) == 4);
	return fd;
}

/* Never what the guest's kernel has: it keeps no data of what was just written by someone else. */
static long read_one(int fd)
{
	char byte;

	return pread(fd, &byte, 1, 0);
}

static long lock_all(int fd)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLK, &range);
}

static long list_again(DIR *directory)
{
	struct dirent *entry;
	long count = 0;

	rewinddir(directory);
	errno = 0;
	while ((entry = readdir(directory)))
		count++;
	return errno ? -1 : count;
}

static void show(const char *name, long value)
{
	printf(" %s:%s", name, result(value));
}

/*
 * After each line: what can be done with files that were opened before. held-linked had the name
 * held-first, was linked to that one, and its first name removed; held-gone has no name.
 */
void check_held(void)
{
	int plain = open_with("held"), gone = open_with("held-gone"), again;
	int linked = open_with("held-first"), nameless = open(".", O_RDWR | O_TMPFILE, 0644);
	char path[32];
	DIR *directory;

	NEED(link("held-first", "held-linked") == 0 && unlink("held-first") == 0);
	NEED(unlink("held-gone") == 0 && mkdir("held-d", 0755) == 0);
	NEED(put_file("held-d/x", "") == 0 && put_file("held-d/secret", "") == 0);
	directory = opendir("held-d");
	NEED(directory && list_again(directory) == 4);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", nameless);
	NEED(nameless >= 0 && write(nameless, "text", 4) == 4);
	NEED(linkat(AT_FDCWD, path, AT_FDCWD, "held-late", AT_SYMLINK_FOLLOW) == 0);
	puts("ready");
	while (wait_for_line()) {
		show("read", read_one(plain));
		show("write", pwrite(plain, "t", 1, 0));
		show("size", ftruncate(plain, 4));
		show("hole", fallocate(plain, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1));
		show("mode", fchmod(plain, 0644));
		show("lock", lock_all(plain));
		again = open("held", O_RDONLY);
		show("open", again);
		close(again);
		show("list", list_again(directory));
		printf("%ld", list_again(directory));
		show("gone", read_one(gone) < 0 ? -1 : pwrite(gone, "t", 1, 0));
		show("linked", read_one(linked));
		show("linked-write", pwrite(linked, "t", 1, 0));
		show("late", read_one(nameless));
		puts("");
	}
}

/* --- in a snapshot ---------------------------------------------------------------------------- */

static int lock_to(int fd, int command, short type)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, command, &range);
}

/* Has one lock, waits for another, and then says so through the pipe. */
static void wait_for_lock(int to)
{
	int has = open("goes-on-has", O_RDWR | O_CREAT, 0644),
	    wants = open("goes-on-wants", O_RDWR);

	NEED(has >= 0 && lock_to(has, F_SETLK, F_WRLCK) == 0 && write(to, "r", 1) == 1);
	NEED(lock_to(wants, F_SETLKW, F_WRLCK) == 0 && write(to, "granted", 7) == 7);
	while (wait_for_line())
		;
	_exit(0);
}

/* Everything that is open goes on after a line. */
void check_goes_on(void)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int kept, gone, wants, has, fifo;
	char text[16] = "", *map;
	DIR *directory;
	pid_t child;

	NEED(put_file("goes-on", "before") == 0 && put_file("goes-on-wants", "") == 0);
	kept = open("goes-on", O_RDWR);
	gone = open("goes-on-gone", O_RDWR | O_CREAT, 0644);
	NEED(kept >= 0 && write(gone, "gone", 4) == 4 && unlink("goes-on-gone") == 0);
	NEED(mkdir("goes-on-d", 0755) == 0 && put_file("goes-on-d/x", "") == 0);
	directory = opendir("goes-on-d");
	NEED(directory && mkfifo("goes-on-fifo", 0600) == 0);
	fifo = open("goes-on-fifo", O_RDWR);
	wants = open("goes-on-wants", O_RDWR);
	NEED(fifo >= 0 && wants >= 0 && lock_to(wants, F_SETLK, F_WRLCK) == 0);
	child = fork();
	if (child == 0)
		wait_for_lock(fifo);
	NEED(read(fifo, text, 1) == 1);
	/* What nothing has written to the server yet. */
	has = open("goes-on-map", O_RDWR | O_CREAT, 0644);
	NEED(ftruncate(has, 8192) == 0);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, has, 0);
	NEED(map != MAP_FAILED);
	strcpy(map, "dirty");
	strcpy(map + 4096, "page");
	usleep(300000); /* the child waits for its lock by now */
	puts("ready");
	NEED(wait_for_line());
	NEED(pread(kept, text, sizeof(text), 0) == 6 && memcmp(text, "before", 6) == 0);
	NEED(pwrite(kept, "after!", 6, 0) == 6 && has_text("goes-on", "after!"));
	puts(pread(gone, text, 4, 0) == 4 ? "gone lives" : strerror(errno));
	NEED(list_again(directory) == 3 && strcmp(map, "dirty") == 0);
	strcpy(map, "later");
	NEED(msync(map, 8192, MS_SYNC) == 0);
	NEED(fcntl(open("goes-on-has", O_RDWR), F_GETLK, &range) == 0);
	NEED(range.l_type == F_WRLCK && range.l_pid == child);
	NEED(lock_to(wants, F_SETLK, F_UNLCK) == 0);
	NEED(read(fifo, text, sizeof(text)) == 7 && memcmp(text, "granted", 7) == 0);
	NEED(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	NEED(lock_to(wants, F_SETLKW, F_WRLCK) == 0);
	/* For a copy in the same directory. */
	NEED(pwrite(kept, "before", 6, 0) == 6);
}
