/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: names, claims, dead monitors' directories, and races for one name. */
#include "vmm/control/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"

#define RACERS 8
#define ROUNDS 200

static char base[64];

static void begin(void)
{
	strcpy(base, "/tmp/cordon-registry-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	setenv("XDG_RUNTIME_DIR", base, 1);
}

static void end(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cordon", base);
	ck_assert_msg(rmdir(path) == 0, "%s: %s", path,
		      strerror(errno)); /* nothing is left in it */
	ck_assert_int_eq(rmdir(base), 0);
}

static bool exists(const char *name, const char *file)
{
	char path[PATH_MAX];

	ck_assert_int_eq(registry_path(name, file, path, NULL), 0);
	return access(path, F_OK) == 0;
}

static void put_file(const char *name, const char *file)
{
	char path[PATH_MAX];
	int fd;

	ck_assert_int_eq(registry_path(name, file, path, NULL), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* A monitor that holds the name until it is killed. */
static pid_t be_monitor(const char *name)
{
	int ready[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = registry_claim(name, NULL);

		if (fd < 0 || registry_set_pid(fd, getpid()) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_monitor(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(names_are_checked)
{
	static const char *const good[] = {"a",
					   "A",
					   "0",
					   "a-b_c.d",
					   "1.2.3",
					   "x..y",
					   "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"};
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  "-a",
					  "_a",
					  ".a",
					  "a/b",
					  "/a",
					  "../a",
					  "a b",
					  "a\n",
					  "a\x80",
					  "\xc3\xa4",
					  "a*",
					  "a:b",
					  "a\\",
					  "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLM"};
	char path[PATH_MAX];
	struct err err;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(registry_check_name(good[i], &err) == 0, "%s", good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(registry_check_name(bad[i], &err) == -EINVAL, "%s", bad[i]);
		ck_assert_int_eq(registry_path(bad[i], "lock", path, &err), -EINVAL);
		ck_assert_int_eq(registry_claim(bad[i], &err), -EINVAL);
	}
	rmdir(base);
}
END_TEST

START_TEST(a_name_is_taken_once)
{
	struct err err;
	pid_t found;
	int fd, again;

	begin();
	fd = registry_claim("a", &err);
	ck_assert_int_ge(fd, 0);
	/* Claimed, but without a process id yet. */
	ck_assert_int_eq(registry_find("a", &found, &err), -ESRCH);
	ck_assert(exists("a", "lock"));
	ck_assert_int_eq(registry_set_pid(fd, getpid()), 0);
	ck_assert_int_eq(registry_find("a", &found, &err), 0);
	ck_assert_int_eq(found, getpid());
	again = registry_claim("a", &err);
	ck_assert_int_eq(again, -EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "is running already"));
	registry_clear("a", fd);
	close(fd);
	ck_assert_int_eq(registry_find("a", &found, &err), -ESRCH);
	end();
}
END_TEST

START_TEST(a_dead_monitors_directory_is_removed)
{
	struct registry_entry *entries;
	struct err err;
	pid_t pid, found;
	int fd;

	begin();
	pid = be_monitor("a");
	put_file("a", "console.log");
	put_file("a", "fork-1.snapshot.abc123");
	ck_assert_int_eq(registry_find("a", &found, &err), 0);
	ck_assert_int_eq(found, pid);
	end_monitor(pid);
	ck_assert_int_eq(registry_find("a", &found, &err), -ESRCH);
	ck_assert(!exists("a", ""));
	/* by a claim */
	pid = be_monitor("a");
	put_file("a", "control.sock");
	end_monitor(pid);
	fd = registry_claim("a", &err);
	ck_assert_int_ge(fd, 0);
	ck_assert(!exists("a", "control.sock"));
	registry_clear("a", fd);
	close(fd);
	/* and by a list; also that of a monitor that died before it wrote its process id */
	end_monitor(be_monitor("a"));
	fd = registry_claim("b", &err);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(registry_list(&entries, &err), 0);
	free(entries);
	end();
}
END_TEST

/* The user has removed the directory by hand, and another sandbox has the name now. */
START_TEST(another_sandboxs_directory_stays)
{
	struct err err;
	pid_t found;
	char path[PATH_MAX];
	int old, new;

	begin();
	old = registry_claim("a", &err);
	registry_path("a", "lock", path, NULL);
	ck_assert_int_eq(unlink(path), 0);
	registry_path("a", "", path, NULL);
	ck_assert_int_eq(rmdir(path), 0);
	new = registry_claim("a", &err);
	ck_assert_int_ge(new, 0);
	registry_set_pid(new, getpid());
	registry_clear("a", old);
	ck_assert_int_eq(registry_find("a", &found, &err), 0);
	registry_clear("a", new);
	close(old);
	close(new);
	end();
}
END_TEST

START_TEST(lists_are_sorted)
{
	static const char *const name[] = {"c", "a", "b"};
	struct registry_entry *entries;
	struct err err;
	pid_t pid[3];
	int i;

	begin();
	for (i = 0; i < 3; i++)
		pid[i] = be_monitor(name[i]);
	ck_assert_int_eq(registry_list(&entries, &err), 3);
	ck_assert_str_eq(entries[0].name, "a");
	ck_assert_int_eq(entries[0].pid, pid[1]);
	ck_assert_str_eq(entries[2].name, "c");
	free(entries);
	for (i = 0; i < 3; i++)
		end_monitor(pid[i]);
	ck_assert_int_eq(registry_list(&entries, &err), 0);
	free(entries);
	end();
}
END_TEST

START_TEST(kill_ends_only_the_lock_holder)
{
	struct err err;
	pid_t pid, found, innocent;
	int fd, status;

	begin();
	pid = be_monitor("a");
	ck_assert_int_eq(kill(pid, SIGSTOP), 0); /* the monitor hangs */
	ck_assert_int_eq(registry_kill("a", &err), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(registry_find("a", &found, &err), -ESRCH);
	/* Another process now has the process id of a dead monitor. */
	innocent = fork();
	if (innocent == 0)
		for (;;)
			pause();
	fd = registry_claim("a", &err);
	registry_set_pid(fd, innocent);
	close(fd);
	ck_assert_int_eq(registry_kill("a", &err), -ESRCH);
	ck_assert_int_eq(kill(innocent, 0), 0);
	ck_assert_int_eq(waitpid(innocent, &status, WNOHANG), 0);
	end_monitor(innocent);
	end();
}
END_TEST

START_TEST(a_directory_that_others_can_write_is_refused)
{
	char path[128];
	struct err err;

	begin();
	snprintf(path, sizeof(path), "%s/cordon", base);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(chmod(path, 0770), 0);
	ck_assert_int_eq(registry_claim("a", &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "only you can access"));
	rmdir(path);
	ck_assert_int_eq(symlink("/tmp", path), 0);
	ck_assert_int_eq(registry_claim("a", &err), -EPERM);
	unlink(path);
	rmdir(base);
}
END_TEST

/*
 * Claims, lookups and deaths at once: a name never has two holders. A holder creates the file
 * "mark" exclusively, which fails if there is another one.
 */
static int racer(unsigned number)
{
	struct registry_entry *entries;
	unsigned round;
	char path[PATH_MAX];
	pid_t pid;
	int fd, mark;

	for (round = 0; round < ROUNDS; round++) {
		if (number % 2) {
			if (registry_list(&entries, NULL) < 0)
				return 1;
			free(entries);
			registry_find("a", &pid, NULL);
			continue;
		}
		fd = registry_claim("a", NULL);
		if (fd == -EEXIST || fd == -EBUSY)
			continue;
		if (fd < 0 || registry_path("a", "mark", path, NULL) < 0)
			return 2;
		registry_set_pid(fd, getpid());
		mark = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (mark < 0)
			return 3; /* another one holds it too */
		close(mark);
		if (round % 3 == 0) {
			registry_clear("a", fd);
		} else {
			/* As if dead: no process may have the number, or a claim believes it. */
			registry_set_pid(fd, 99999999);
		}
		close(fd);
	}
	return 0;
}

START_TEST(races_have_one_winner)
{
	struct registry_entry *entries;
	pid_t pid[RACERS];
	unsigned i;
	int status;

	begin();
	for (i = 0; i < RACERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(racer(i));
	}
	for (i = 0; i < RACERS; i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_msg(status == 0, "racer %u: %x", i, (unsigned)status);
	}
	ck_assert_int_eq(registry_list(&entries, NULL), 0);
	free(entries);
	end();
}
END_TEST

/* What `su` leaves in the environment names a directory of the user before. */
START_TEST(another_users_directory_is_not_used)
{
	char path[PATH_MAX], wanted[128];

	if (geteuid() != 0)
		return;
	begin();
	snprintf(wanted, sizeof(wanted), "%s/cordon", base);
	registry_root(path);
	ck_assert_str_eq(path, wanted);
	ck_assert_int_eq(chown(base, 1, 1), 0);
	registry_root(path);
	ck_assert_str_eq(path, "/run/cordon");
	ck_assert_int_eq(rmdir(base), 0);
	/* A missing one is named in the message about it. */
	registry_root(path);
	ck_assert_str_eq(path, wanted);
}
END_TEST

UNIT_MAIN("registry", names_are_checked, a_name_is_taken_once, a_dead_monitors_directory_is_removed,
	  another_sandboxs_directory_stays, lists_are_sorted, kill_ends_only_the_lock_holder,
	  a_directory_that_others_can_write_is_refused, another_users_directory_is_not_used,
	  races_have_one_winner)
