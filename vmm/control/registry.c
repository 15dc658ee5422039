/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control/registry.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/control/record.h"

#define ENTRIES_MAX 4096

/* How often to retry while the lock is held only briefly: by a process that removes the directory,
 * or by a new monitor that has not written its process id (BORN). */
#define MOMENT_US    1000
#define MOMENTS	     5
#define MOMENTS_BORN 500
/* A process that was killed keeps the lock until its last thread has ended. */
#define MOMENTS_DYING 5000

/* After SIGKILL: freeing much memory takes time. */
#define KILL_MS 10000

int registry_check_name(const char *name, struct err *err)
{
	size_t length = strlen(name), i;

	if (length == 0 || length > SANDBOX_NAME_MAX)
		return err_set(err, EINVAL, "'%.60s' is not a name: give 1 to %d characters", name,
			       SANDBOX_NAME_MAX);
	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x80 && (isalnum(c) || (i > 0 && strchr("-_.", c))))
			continue;
		return err_set(
			err, EINVAL,
			"'%s' is not a name: letters, digits, '-', '_' and '.' only, a letter "
			"or digit first",
			name);
	}
	return 0;
}

/* --- the registry's directory ----------------------------------------------------------------- */

/*
 * `su` leaves the variable as it is: that user could put another directory in the registry's place
 * after each check of it. A missing one is reported by its first use.
 */
static bool is_usable(const char *runtime)
{
	struct stat status;

	return runtime && runtime[0] == '/' && strlen(runtime) < PATH_MAX - 128 &&
	       (stat(runtime, &status) < 0 || status.st_uid == geteuid() || status.st_uid == 0);
}

/* Login shells have the variable set, cron and services do not: both take the same directory. */
void registry_root(char path[PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	unsigned user = geteuid();
	char session[32];

	snprintf(session, sizeof(session), "/run/user/%u", user);
	if (!is_usable(runtime))
		runtime = user != 0 && access(session, W_OK | X_OK) == 0 ? session : NULL;
	else if (user == 0 && strcmp(runtime, session) == 0)
		runtime = NULL;
	if (runtime)
		snprintf(path, PATH_MAX, "%s/cordon", runtime);
	else if (user == 0)
		snprintf(path, PATH_MAX, "/run/cordon");
	else
		snprintf(path, PATH_MAX, "/tmp/cordon-%u", user);
}

static int find_root(char path[PATH_MAX], struct err *err)
{
	struct stat status;

	registry_root(path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "%s", path);
	if (lstat(path, &status) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
		return err_set(err, EPERM,
			       "%s: must be a directory that only you can access (chmod 700, or "
			       "remove it)",
			       path);
	return 0;
}

int registry_path(const char *name, const char *file, char path[PATH_MAX], struct err *err)
{
	int ret = registry_check_name(name, err);
	size_t used;

	if (ret == 0)
		ret = find_root(path, err);
	if (ret < 0)
		return ret;
	used = strlen(path);
	snprintf(path + used, PATH_MAX - used, "/%s%s%s", name, file[0] ? "/" : "", file);
	return 0;
}

int registry_socket(const char *name, struct sockaddr_un *address, struct err *err)
{
	char path[PATH_MAX];
	int ret = registry_path(name, "control.sock", path, err);

	if (ret < 0)
		return ret;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return err_set(err, ENAMETOOLONG,
			       "%s: too long for a socket: set XDG_RUNTIME_DIR to a shorter "
			       "directory",
			       path);
	strcpy(address->sun_path, path);
	return 0;
}

/* --- a sandbox's directory -------------------------------------------------------------------- */

/* Removes a sandbox's directory, which contains only files. */
static void remove_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *item;
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (!directory) {
		fd_close(&fd);
		return;
	}
	/* The lock goes last: as long as it exists, the directory has an owner. */
	while ((item = readdir(directory)))
		if (strcmp(item->d_name, "lock") != 0)
			unlinkat(fd, item->d_name, 0);
	unlinkat(fd, "lock", 0);
	closedir(directory);
	rmdir(path);
}

static pid_t read_pid(int fd)
{
	char text[24] = "";

	if (fd_pread_full(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

bool registry_is_dying(pid_t pid)
{
	char path[32], text[128] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fd_pread_full(fd, text, sizeof(text) - 1, 0) <= 0)
		text[0] = '\0';
	fd_close(&fd);
	state = strrchr(text, ')'); /* "PID (NAME) STATE ..." */
	return state && (strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0);
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Whether the lock is still the file at path: it may have been removed meanwhile. */
static bool is_current(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
	       ours.st_dev == theirs.st_dev;
}

/*
 * Opens the lock of a directory and tries to take it; how is LOCK_EX or LOCK_SH. Returns the
 * descriptor, and in *held whether it was taken; -EAGAIN if the directory has just been removed; or
 * another -errno.
 */
static int open_lock(const char *path, int flags, int how, bool *held)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	if (fd < 0)
		return -errno;
	*held = flock(fd, how | LOCK_NB) == 0;
	if (!is_current(fd, path)) {
		fd_close(&fd);
		return -EAGAIN;
	}
	return fd;
}

/*
 * Another process holds the lock. Returns whether to try again: that process only looks (a shared
 * lock), removes a dead monitor's directory, or has claimed the name and not yet written its
 * process id.
 */
static bool passes_soon(int fd, pid_t pid, int tries)
{
	bool shared = flock(fd, LOCK_SH | LOCK_NB) == 0;
	int moments = MOMENTS;

	if (pid == 0)
		moments = MOMENTS_BORN;
	else if (is_gone(pid) || registry_is_dying(pid))
		moments = MOMENTS_DYING;
	/* Do not keep it while waiting: other processes would wait for this one. */
	if (shared)
		flock(fd, LOCK_UN);
	else if (tries >= moments)
		return false;
	usleep(MOMENT_US);
	return true;
}

int registry_claim(const char *name, struct err *err)
{
	char directory[PATH_MAX], lock[PATH_MAX];
	int fd, ret, tries;
	bool held, again;
	pid_t pid;

	ret = registry_path(name, "", directory, err);
	if (ret == 0)
		ret = registry_path(name, "lock", lock, err);
	if (ret < 0)
		return ret;
	for (tries = 0; tries < 2 * MOMENTS_DYING; tries++) {
		if (mkdir(directory, 0700) < 0 && errno != EEXIST)
			return err_sys(err, "%s", directory);
		fd = open_lock(lock, O_CREAT, LOCK_EX, &held);
		if (fd == -EAGAIN || fd == -ENOENT)
			continue;
		if (fd < 0)
			return err_code(err, -fd, "%s", lock);
		pid = read_pid(fd);
		if (held && pid == 0)
			return fd;
		again = true;
		if (held)
			remove_directory(directory); /* of a dead monitor */
		else
			again = passes_soon(fd, pid, tries);
		fd_close(&fd);
		if (!again && pid == 0)
			return err_set(err, EEXIST, "another process is starting %s", name);
		if (!again)
			return err_set(
				err, EEXIST,
				"%s is running already (process %d): stop it, or use another name",
				name, (int)pid);
	}
	return err_set(err, EBUSY, "%s: other processes keep making and removing the directory",
		       directory);
}

/* The number of directories from which on those of dead monitors are searched for. */
#define CROWD 16

static void clear_crowd(void)
{
	struct registry_entry *entries;
	char root[PATH_MAX];
	unsigned count = 0;
	DIR *directory = find_root(root, NULL) == 0 ? opendir(root) : NULL;

	/* st_nlink would not do: many file systems do not count subdirectories there. */
	while (directory && count <= CROWD + 2 && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	if (count > CROWD + 2 && registry_list(&entries, NULL) >= 0)
		free(entries);
}

int registry_claim_run(char name[SANDBOX_NAME_MAX + 1], struct err *err)
{
	static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned char random[6];
	int tries, ret = -EEXIST;
	size_t i;
	char *to;

	clear_crowd();
	for (tries = 0; ret == -EEXIST && tries < CROWD; tries++) {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return err_sys(err, "random numbers");
		to = stpcpy(name, REGISTRY_RUN_PREFIX);
		for (i = 0; i < sizeof(random); i++)
			*to++ = digits[random[i] % (sizeof(digits) - 1)];
		*to = '\0';
		ret = registry_claim(name, err);
	}
	return ret;
}

int registry_set_pid(int lock_fd, pid_t pid)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%d\n", (int)pid);

	return pwrite(lock_fd, text, (size_t)length, 0) == length ? 0 : -EIO;
}

void registry_clear(const char *name, int lock_fd)
{
	char directory[PATH_MAX], lock[PATH_MAX];

	if (registry_path(name, "", directory, NULL) == 0 &&
	    registry_path(name, "lock", lock, NULL) == 0 && is_current(lock_fd, lock))
		remove_directory(directory);
}

/* The lock is shared with the caller: the monitor is dead, or a new one is claiming the name. */
static void clear_dead(const char *name, int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		registry_clear(name, fd);
}

/* A sandbox with a record has run: the message must not say that there is none. */
static int not_running(const char *name, struct err *err)
{
	char path[PATH_MAX];

	if (record_file(name, "record.json", path, NULL) == 0 && access(path, F_OK) == 0)
		return err_set(err, ESRCH, "%s is not running: see 'cordon ps -a'", name);
	return err_set(err, ESRCH, "no sandbox is called %s: see 'cordon ps'", name);
}

int registry_find(const char *name, pid_t *pid, struct err *err)
{
	char lock[PATH_MAX];
	bool dead, lives = false, dying = false;
	int fd, tries, ret = registry_path(name, "lock", lock, err);

	if (ret < 0)
		return ret;
	*pid = 0;
	for (tries = 0; tries < (dying ? MOMENTS_DYING : MOMENTS) && !lives; tries++) {
		fd = open_lock(lock, 0, LOCK_SH, &dead);
		if (fd < 0)
			break;
		*pid = read_pid(fd);
		if (dead)
			clear_dead(name, fd);
		fd_close(&fd);
		if (dead || *pid <= 0)
			break;
		/* No such process: another one is about to remove a dead monitor's directory. */
		dying = registry_is_dying(*pid);
		lives = !dying && !is_gone(*pid);
		if (!lives)
			usleep(MOMENT_US);
	}
	return lives ? 0 : not_running(name, err);
}

int registry_kill(const char *name, struct err *err)
{
	struct pollfd gone = {.events = POLLIN};
	pid_t pid, again;
	int ret = registry_find(name, &pid, err);

	if (ret < 0)
		return ret;
	gone.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (gone.fd < 0)
		return err_sys(err, "%s: process %d", name, (int)pid);
	/* The process id may have been reused before pidfd_open(): look it up again. */
	ret = registry_find(name, &again, err);
	if (ret == 0 && again != pid)
		ret = err_set(err, ESRCH, "%s has just been started again", name);
	if (ret == 0 && syscall(SYS_pidfd_send_signal, gone.fd, SIGKILL, NULL, 0) < 0)
		ret = err_sys(err, "%s: killing process %d", name, (int)pid);
	if (ret == 0 && poll(&gone, 1, KILL_MS) == 0)
		ret = err_set(err, ETIMEDOUT, "%s: process %d does not end", name, (int)pid);
	fd_close(&gone.fd);
	if (ret == 0)
		registry_find(name, &pid, NULL); /* removes the directory */
	return ret;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct registry_entry *)a)->name,
		      ((const struct registry_entry *)b)->name);
}

int registry_list(struct registry_entry **entries, struct err *err)
{
	struct registry_entry *list;
	char root[PATH_MAX];
	struct dirent *item;
	int count = 0, ret = find_root(root, err);
	DIR *directory;

	*entries = NULL;
	if (ret < 0)
		return ret;
	directory = opendir(root);
	if (!directory)
		return err_sys(err, "%s", root);
	list = calloc(ENTRIES_MAX, sizeof(*list));
	while (list && count < ENTRIES_MAX && (item = readdir(directory))) {
		struct registry_entry *entry = &list[count];

		if (registry_check_name(item->d_name, NULL) == 0 &&
		    registry_find(item->d_name, &entry->pid, NULL) == 0) {
			snprintf(entry->name, sizeof(entry->name), "%.*s", SANDBOX_NAME_MAX,
				 item->d_name);
			count++;
		}
	}
	closedir(directory);
	if (!list)
		return err_set(err, ENOMEM, "out of memory");
	qsort(list, (size_t)count, sizeof(*list), by_name);
	*entries = list;
	return count;
}
