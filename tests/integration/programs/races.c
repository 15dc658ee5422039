/* SPDX-License-Identifier: Apache-2.0 */
/*
 * races ROUNDS DIRECTORY [OTHER]: walks into DIRECTORY/d again and again, which the host, or with
 * OTHER (the same directory by another share) a second process, exchanges for a symbolic link to
 * ".." called "decoy". Prints how often the file "secret" there said "inside", and how often
 * "outside", which is only in the host's directory above.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXCHANGE 2 /* RENAME_EXCHANGE */

static unsigned inside, outside, changes;

static void read_at(const char *path)
{
	char text[16] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	inside += strcmp(text, "inside") == 0;
	outside += strcmp(text, "outside") == 0;
}

/* By names that begin with "made-", which must be nowhere but in d or beside it. */
static void change(unsigned round)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "d/made-%u", round % 8);
	switch (round % 4) {
	case 0:
		changes += mkdir(name, 0755) == 0;
		rmdir(name);
		break;
	case 1:
		fd = open(name, O_WRONLY | O_CREAT, 0644);
		if (fd >= 0) {
			changes++;
			close(fd);
		}
		unlink(name);
		break;
	case 2:
		if (rename("d/secret", "taken") == 0) {
			read_at("taken");
			while (rename("taken", "d/secret") < 0 && errno != ENOENT)
				;
		}
		break;
	default:
		chmod("d/secret", 0600);
		break;
	}
}

static pid_t exchange(const char *other)
{
	pid_t parent = getpid(), child = fork();

	if (child != 0)
		return child;
	if (chdir(other) < 0)
		_exit(1);
	while (getppid() == parent)
		syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "decoy", EXCHANGE);
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, round;
	pid_t child = argc > 3 ? exchange(argv[3]) : 0;
	int status = 0;

	if (rounds == 0 || child < 0 || chdir(argv[2]) < 0)
		return 1;
	for (round = 0; round < rounds; round++) {
		read_at("d/secret");
		if (round % 8 == 0)
			change(round / 8);
	}
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
	printf("rounds %u inside %u outside %u changes %u\n", rounds, inside, outside, changes);
	return 0;
}
