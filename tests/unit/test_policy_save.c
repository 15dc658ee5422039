/* SPDX-License-Identifier: Apache-2.0 */
/* Rules written into policy files: where, and which files are left alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/cli/policy_save.h"
#include "vmm/policy/added.h"

static char directory[64];
static struct err why;

static void enter(void)
{
	strcpy(directory, "/tmp/cordon-save.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
}

static void leave(void)
{
	char command[96];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void has_text(const char *name, const char *text)
{
	char read[4096] = "";
	FILE *file = fopen(name, "r");

	ck_assert_ptr_nonnull(file);
	read[fread(read, 1, sizeof(read) - 1, file)] = '\0';
	fclose(file);
	ck_assert_str_eq(read, text);
}

/* The policy of a sandbox that was started with these files. */
static struct policy *started(const char *one, const char *one_text, const char *two,
			      const char *two_text)
{
	const struct policy_part part[] = {
		{.name = one, .directory = directory, .length = strlen(one_text)},
		{.name = two, .directory = directory, .length = two ? strlen(two_text) : 0},
	};
	const struct policy_source source = {.name = two ? "both" : one,
					     .directory = directory,
					     .part = part,
					     .parts = two ? 2 : 0};
	struct policy *policy;
	char text[8192];

	snprintf(text, sizeof(text), "%s%s", one_text, two ? two_text : "");
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &why) == 0, "%s",
		      why.text);
	return policy;
}

static struct policy *add(struct policy *policy, const char *line)
{
	struct policy *made;

	ck_assert_msg(policy_add_line(&made, policy, line, &why) == 0, "%s", why.text);
	policy_free(policy);
	return made;
}

static void save(const struct policy *policy, const char *above, const char *line, unsigned at)
{
	struct saved_rule saved;

	ck_assert_msg(policy_save(policy, above, line, &saved, &why) == 0, "%s", why.text);
	ck_assert_uint_eq(saved.line, at);
	ck_assert_int_eq(strncmp(saved.path, directory, strlen(directory)), 0);
}

static void refused(const struct policy *policy, const char *above, const char *line,
		    const char *message)
{
	struct saved_rule saved;

	ck_assert_int_lt(policy_save(policy, above, line, &saved, &why), 0);
	ck_assert_msg(strstr(why.text, message) != NULL, "%s", why.text);
}

static unsigned files_here(void)
{
	FILE *list = popen("ls -A | wc -l", "r");
	unsigned count = 0;

	ck_assert_ptr_nonnull(list);
	ck_assert_int_eq(fscanf(list, "%u", &count), 1);
	pclose(list);
	return count;
}

static const char asks[] = "policy 1\n# names\nnet ask tls *:443\n";
static const char a[] = "net allow tls a.test:443", b[] = "net deny tls b.test:443";

START_TEST(above_the_rule_that_asked)
{
	struct policy *policy;
	struct stat status;

	enter();
	write_file("p", asks);
	ck_assert_int_eq(chmod("p", 0640), 0);
	policy = add(started("sub/../p", asks, NULL, NULL), a);
	save(policy, "sub/../p:3", a, 3);
	has_text("p", "policy 1\n# names\nnet allow tls a.test:443\nnet ask tls *:443\n");
	ck_assert_int_eq(stat("p", &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
	/* The next one below it: the file is as the sandbox read it, but for what was saved. */
	policy = add(policy, b);
	save(policy, "sub/../p:3", b, 4);
	has_text("p", "policy 1\n# names\nnet allow tls a.test:443\nnet deny tls b.test:443\n"
		      "net ask tls *:443\n");
	/* Again: it is there. */
	save(policy, "sub/../p:3", a, 3);
	save(policy, "sub/../p:3", b, 4);
	ck_assert_uint_eq(files_here(), 1);
	policy_free(policy);
	leave();
}
END_TEST

START_TEST(in_one_of_several_files)
{
	static const char other[] = "policy 1\nnet deny tls c.test:443"; /* without a newline */
	struct policy *policy;

	enter();
	write_file("p", asks);
	write_file("o", "policy 1\nnet deny tls c.test:443\n");
	policy = add(started("o", "policy 1\nnet deny tls c.test:443\n", "p", asks), a);
	save(policy, "p:3", a, 3);
	has_text("p", "policy 1\n# names\nnet allow tls a.test:443\nnet ask tls *:443\n");
	has_text("o", "policy 1\nnet deny tls c.test:443\n");
	policy_free(policy);
	write_file("q", other);
	policy = add(started("q", other, NULL, NULL), "net allow tls d.test:443");
	save(policy, "q:2", "net allow tls d.test:443", 2);
	has_text("q", "policy 1\nnet allow tls d.test:443\nnet deny tls c.test:443");
	policy_free(policy);
	leave();
}
END_TEST

START_TEST(a_file_that_has_changed)
{
	struct policy *policy;
	static const char *const texts[] = {
		"policy 1\nnet ask tls *:443\n",
		"policy 1\n# names\nnet ask tls *:443\nlimit cpus=1\n",
		"policy 1\n# names\nnet allow tls z.test:443\nnet ask tls *:443\n",
		"policy 1\n# names\nnet ask tls *:443",
		"policy 1\n# Names\nnet ask tls *:443\n",
		"",
	};
	size_t i;

	enter();
	policy = add(started("p", asks, NULL, NULL), a);
	refused(policy, "p:3", a, "No such file");
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		write_file("p", texts[i]);
		refused(policy, "p:3", a, "has changed since the sandbox read it");
		has_text("p", texts[i]);
	}
	/* The allowed twin. */
	write_file("p", asks);
	save(policy, "p:3", a, 3);
	ck_assert_uint_eq(files_here(), 1);
	policy_free(policy);
	leave();
}
END_TEST

START_TEST(files_that_are_left_alone)
{
	struct policy *policy;

	enter();
	policy = add(started("p", asks, NULL, NULL), a);
	write_file("real", asks);
	ck_assert_int_eq(symlink("real", "p"), 0);
	refused(policy, "p:3", a, "not a regular file");
	ck_assert_int_eq(unlink("p"), 0);
	ck_assert_int_eq(mkfifo("p", 0600), 0);
	refused(policy, "p:3", a, "not a regular file");
	ck_assert_int_eq(unlink("p"), 0);
	write_file("p", asks);
	ck_assert_int_eq(chmod("p", 0444), 0);
	refused(policy, "p:3", a, "is read-only");
	ck_assert_int_eq(chmod("p", 0644), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown("p", 1, 1), 0);
		refused(policy, "p:3", a, "belongs to another user");
		ck_assert_int_eq(chown("p", 0, 0), 0);
	}
	has_text("p", asks);
	has_text("real", asks);
	save(policy, "p:3", a, 3);
	policy_free(policy);
	leave();
}
END_TEST

START_TEST(rules_of_no_file)
{
	struct policy *policy;

	enter();
	policy = add(started("p", asks, NULL, NULL), a);
	refused(policy, "added:2", a, "in no file");
	refused(policy, "agent:3", a, "'agent' is built in: keep a copy");
	refused(policy, "preset agent:3", a, "'agent' is built in");
	refused(policy, "stdin:3", a, "not read from a file");
	refused(policy, "/dev/fd/9:3", a, "not read from a file");
	refused(policy, "q:3", a, "no file of the sandbox's policy");
	refused(policy, "p", a, "no file of the sandbox's policy");
	refused(policy, "", a, "no file of the sandbox's policy");
	policy_free(policy);
	leave();
}
END_TEST

/* What would make the file an error is not written. */
START_TEST(a_rule_that_leaves_one_without_effect)
{
	static const char exact[] = "policy 1\nnet ask tls a.test:443\n";
	struct policy *policy;

	enter();
	write_file("p", exact);
	policy = add(started("p", exact, NULL, NULL), a);
	refused(policy, "p:2", a, "p:3:1: this rule never decides");
	has_text("p", exact);
	ck_assert_uint_eq(files_here(), 1);
	policy_free(policy);
	leave();
}
END_TEST

/* --- at the same time ------------------------------------------------------------------------- */

/* A process that saves a line once `go` is readable. Its exit status is 0 if that has worked. */
static pid_t saves(const struct policy *policy, const char *line, int go)
{
	struct saved_rule saved;
	pid_t pid = fork();
	char byte;

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	if (read(go, &byte, 1) == 1 && policy_save(policy, "p:3", line, &saved, &why) == 0)
		_exit(0);
	fprintf(stderr, "%s\n", why.text);
	_exit(1);
}

static int status_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Without the lock one of the two is refused or lost in most rounds. */
START_TEST(two_at_once)
{
	static const char *const texts[] = {
		"policy 1\n# names\nnet allow tls a.test:443\nnet deny tls b.test:443\n"
		"net ask tls *:443\n",
		"policy 1\n# names\nnet deny tls b.test:443\nnet allow tls a.test:443\n"
		"net ask tls *:443\n",
	};
	struct policy *policy;
	char text[4096];
	unsigned round;
	pid_t one, two;
	FILE *file;
	int go[2];

	enter();
	policy = add(add(started("p", asks, NULL, NULL), a), b);
	for (round = 0; round < 50; round++) {
		write_file("p", asks);
		ck_assert_int_eq(pipe(go), 0);
		one = saves(policy, a, go[0]);
		two = saves(policy, b, go[0]);
		ck_assert_int_eq(write(go[1], "ab", 2), 2);
		ck_assert_int_eq(status_of(one), 0);
		ck_assert_int_eq(status_of(two), 0);
		close(go[0]);
		close(go[1]);
		file = fopen("p", "r");
		ck_assert_ptr_nonnull(file);
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
		ck_assert_msg(strcmp(text, texts[0]) == 0 || strcmp(text, texts[1]) == 0, "%s",
			      text);
	}
	ck_assert_uint_eq(files_here(), 1);
	policy_free(policy);
	leave();
}
END_TEST

START_TEST(a_locked_directory)
{
	struct policy *policy;
	int fd;

	enter();
	write_file("p", asks);
	policy = add(started("p", asks, NULL, NULL), a);
	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	/* After a while. */
	refused(policy, "p:3", a, "p: another process holds a lock on its directory");
	has_text("p", asks);
	ck_assert_uint_eq(files_here(), 1);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	save(policy, "p:3", a, 3);
	/* Its own lock is gone. */
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	policy_free(policy);
	leave();
}
END_TEST

UNIT_MAIN("policy_save", above_the_rule_that_asked, in_one_of_several_files,
	  a_file_that_has_changed, files_that_are_left_alone, rules_of_no_file,
	  a_rule_that_leaves_one_without_effect, two_at_once, a_locked_directory)
