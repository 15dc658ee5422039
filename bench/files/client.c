/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the files in DIRECTORY, each kind for SECONDS: in a guest on a share, or on the
 * host. It holds a directory `many`, and a file `big` of whole MiB. Linked statically. Prints a
 * line `ID VALUE UNIT` a figure.
 *
 *   files-client DIRECTORY SECONDS
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SMALL 4096
#define PART  (128 << 10)

static char part[PART];
static int big_fd;
static off_t big_at, big_bytes;

static void fail(const char *what)
{
	fprintf(stderr, "bench files: ");
	perror(what);
	exit(EXIT_FAILURE);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void stat_one(void)
{
	struct stat status;

	if (lstat("big", &status) < 0)
		fail("stat");
}

static void create_one(void)
{
	int fd = open("new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, part, SMALL) != SMALL || close(fd) < 0 || unlink("new") < 0)
		fail("new");
}

static void read_one(void)
{
	int fd = open("small", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, part, SMALL) != SMALL || close(fd) < 0)
		fail("small");
}

static void list(void)
{
	DIR *directory = opendir("many");

	if (!directory)
		fail("many");
	while (readdir(directory))
		;
	closedir(directory);
}

static void move_big(void)
{
	big_at = (big_at + PART) % big_bytes;
}

static void read_big(void)
{
	if (pread(big_fd, part, PART, big_at) != PART)
		fail("big");
	move_big();
}

static void write_big(void)
{
	if (pwrite(big_fd, part, PART, big_at) != PART)
		fail("big");
	move_big();
}

static const struct {
	const char *id;
	void (*operation)(void);
	double bytes; /* of an operation, for MB/s */
} operations[] = {
	{"stat", stat_one, 0}, {"read-small", read_one, 0},  {"create", create_one, 0},
	{"list", list, 0},     {"read-big", read_big, PART}, {"write-big", write_big, PART},
};

static void make_small(void)
{
	int fd = open("small", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, part, SMALL) != SMALL || close(fd) < 0)
		fail("small");
	big_fd = open("big", O_RDWR | O_CLOEXEC);
	big_bytes = big_fd < 0 ? -1 : lseek(big_fd, 0, SEEK_END);
	if (big_bytes < PART)
		fail("big");
}

int main(int argc, char **argv)
{
	double seconds = argc == 3 ? atof(argv[2]) : 0, start, took;
	unsigned long done;
	size_t i;

	if (seconds <= 0) {
		fprintf(stderr, "usage: files-client DIRECTORY SECONDS\n");
		return EXIT_FAILURE;
	}
	if (chdir(argv[1]) < 0)
		fail(argv[1]);
	make_small();
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		start = now();
		done = 0;
		do {
			operations[i].operation();
			done++;
			took = now() - start;
		} while (took < seconds);
		if (operations[i].bytes > 0)
			printf("%s %.6g MB/s\n", operations[i].id,
			       (double)done * operations[i].bytes / took / 1e6);
		else
			printf("%s %.6g 1/s\n", operations[i].id, (double)done / took);
		fflush(stdout);
	}
	return EXIT_SUCCESS;
}
