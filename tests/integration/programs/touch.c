/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Performs file operations, one per argument, and prints one line for each: its result or its
 * error. One process for many attempts, as starting programs is expensive in a guest.
 *
 * OPERATION:PATH[:PATH]: cat, write, append, create (new), mkdir, rm, rmdir, mv:A:B, ln:A:B,
 * symlink:A:B, ls, stat, chmod, link (read it); project:PATH does what version control and builds
 * do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[4096];

static int put(const char *path, int flags, const char *what)
{
	int fd = open(path, flags, 0644), ret = 0;

	if (fd < 0)
		return -1;
	if (write(fd, what, strlen(what)) < 0)
		ret = -1;
	return close(fd) < 0 ? -1 : ret;
}

static int cat(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *path)
{
	static char *names[1000];
	struct dirent *entry;
	DIR *directory = opendir(path);
	size_t count = 0, i;

	if (!directory)
		return -1;
	while ((entry = readdir(directory)) && count < 1000)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			names[count++] = strdup(entry->d_name);
	closedir(directory);
	qsort(names, count, sizeof(names[0]), by_name);
	for (i = 0; i < count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, names[i]);
	}
	return 0;
}

/* --- what version control and builds do ------------------------------------------------------- */

#define NEED(condition)                                                                       \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			snprintf(text, sizeof(text), "line %d: %s: %s", __LINE__, #condition, \
				 strerror(errno));                                            \
			return 0;                                                             \
		}                                                                             \
	} while (0)

static int replace_by_rename(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		int fd = open(".git/index.lock", O_RDWR | O_CREAT | O_EXCL, 0644);

		NEED(fd >= 0);
		NEED(open(".git/index.lock", O_RDWR | O_CREAT | O_EXCL, 0644) < 0 &&
		     errno == EEXIST);
		snprintf(text, sizeof(text), "index %d\n", i);
		NEED(write(fd, text, strlen(text)) > 0 && fsync(fd) == 0 && close(fd) == 0);
		NEED(rename(".git/index.lock", ".git/index") == 0);
	}
	NEED(cat(".git/index") == 0 && strcmp(text, "index 1\n") == 0);
	return 1;
}

static int many_objects(void)
{
	char path[64], to[64];
	struct stat stat;
	int i, fd;

	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), ".git/objects/tmp_%d", i);
		snprintf(to, sizeof(to), ".git/objects/%d", i);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0444);
		NEED(fd >= 0 && write(fd, path, strlen(path)) > 0 && close(fd) == 0);
		NEED(link(path, to) == 0 && unlink(path) == 0);
		NEED(lstat(to, &stat) == 0 && stat.st_nlink == 1 &&
		     stat.st_size == (off_t)strlen(path));
	}
	text[0] = '\0';
	NEED(list(".git/objects") == 0 && strstr(text, "0 1 2 3") == text);
	NEED(!strstr(text, "tmp"));
	return 1;
}

static int mapped_and_locked(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(".git/pack", O_RDWR | O_CREAT, 0644), i;
	char *map, block[4096];

	NEED(fd >= 0);
	for (i = 0; i < 4; i++) {
		memset(block, 'a' + i, sizeof(block));
		NEED(pwrite(fd, block, sizeof(block), i * 4096) == 4096);
	}
	map = mmap(NULL, 4 * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	NEED(map != MAP_FAILED && map[0] == 'a' && map[4 * 4096 - 1] == 'd');
	NEED(munmap(map, 4 * 4096) == 0);
	NEED(flock(fd, LOCK_EX | LOCK_NB) == 0 && flock(fd, LOCK_UN) == 0);
	NEED(fcntl(fd, F_SETLK, &lock) == 0);
	NEED(ftruncate(fd, 10) == 0 && lseek(fd, 0, SEEK_END) == 10 && close(fd) == 0);
	return 1;
}

/* A temporary file that is unlinked while open. */
static int nameless(void)
{
	char name[] = "scratch-XXXXXX";
	struct stat stat;
	int fd = mkstemp(name);

	NEED(fd >= 0 && unlink(name) == 0);
	NEED(write(fd, "kept", 4) == 4 && fstat(fd, &stat) == 0 && stat.st_size == 4);
	NEED(ftruncate(fd, 2) == 0 && pread(fd, text, 9, 0) == 2);
	NEED(close(fd) == 0 && access(name, F_OK) < 0);
	return 1;
}

static int project(const char *path)
{
	NEED(chdir(path) == 0);
	NEED(mkdir(".git", 0755) == 0 && mkdir(".git/objects", 0755) == 0);
	if (!replace_by_rename() || !many_objects() || !mapped_and_locked() || !nameless())
		return 0;
	NEED(mkdir("build", 0755) == 0 && put("build/out", O_WRONLY | O_CREAT, "x") == 0);
	NEED(rename("build", "build.old") == 0 && access("build.old/out", R_OK) == 0);
	NEED(put(".git/log", O_WRONLY | O_CREAT | O_APPEND, "one\n") == 0);
	NEED(put(".git/log", O_WRONLY | O_CREAT | O_APPEND, "two\n") == 0);
	NEED(cat(".git/log") == 0 && strcmp(text, "one\ntwo\n") == 0);
	strcpy(text, "done");
	return 0;
}

/* --- one argument ----------------------------------------------------------------------------- */

static int attempt(const char *word, const char *path, const char *other)
{
	struct stat status;
	ssize_t n;

	text[0] = '\0';
	if (strcmp(word, "cat") == 0)
		return cat(path);
	if (strcmp(word, "write") == 0)
		return put(path, O_WRONLY | O_TRUNC, "written\n");
	if (strcmp(word, "append") == 0)
		return put(path, O_WRONLY | O_APPEND, "appended\n");
	if (strcmp(word, "create") == 0)
		return put(path, O_WRONLY | O_CREAT | O_EXCL, "created\n");
	if (strcmp(word, "mkdir") == 0)
		return mkdir(path, 0755);
	if (strcmp(word, "rm") == 0)
		return unlink(path);
	if (strcmp(word, "rmdir") == 0)
		return rmdir(path);
	if (strcmp(word, "mv") == 0)
		return rename(path, other);
	if (strcmp(word, "ln") == 0)
		return link(path, other);
	if (strcmp(word, "symlink") == 0)
		return symlink(path, other);
	if (strcmp(word, "chmod") == 0)
		return chmod(path, 0777);
	if (strcmp(word, "ls") == 0)
		return list(path);
	if (strcmp(word, "project") == 0)
		return project(path);
	if (strcmp(word, "stat") == 0 && lstat(path, &status) == 0) {
		snprintf(text, sizeof(text), "%o %u %u", status.st_mode, status.st_uid,
			 status.st_gid);
		return 0;
	}
	if (strcmp(word, "link") == 0 && (n = readlink(path, text, sizeof(text) - 1)) >= 0) {
		text[n] = '\0';
		return 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	char *word, *path, *other, *at;
	int i;

	for (i = 1; i < argc; i++) {
		word = strtok(argv[i], ":");
		path = strtok(NULL, ":");
		other = strtok(NULL, ":");
		errno = 0;
		if (attempt(word, path ? path : "", other ? other : "") < 0)
			printf("%s\n", errno == ENOENT	 ? "ENOENT"
				       : errno == EACCES ? "EACCES"
				       : errno == EPERM	 ? "EPERM"
				       : errno == EROFS	 ? "EROFS"
				       : errno == EXDEV	 ? "EXDEV"
				       : errno == EEXIST ? "EEXIST"
							 : strerror(errno));
		else {
			for (at = text; (at = strchr(at, '\n')); at++)
				*at = ';';
			printf("%s\n", text);
		}
	}
	return 0;
}
