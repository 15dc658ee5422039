/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/record_common.h"

char base[64];

void begin(void)
{
	strcpy(base, "/tmp/cordon-record-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	setenv("XDG_STATE_HOME", base, 1);
}

void end(void)
{
	static const struct record_bounds none;
	char path[128];
	struct err err;

	ck_assert_msg(record_prune(&none, &err) >= 0, "%s", err.text);
	snprintf(path, sizeof(path), "%s/cordon", base);
	ck_assert_msg(rmdir(path) == 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(rmdir(base), 0);
}

struct record *create(const char *name, const char *kind)
{
	struct record_info about = {.pid = getpid(), .started_ns = record_now()};
	struct record *record;
	struct err err;

	snprintf(about.name, sizeof(about.name), "%s", name);
	snprintf(about.kind, sizeof(about.kind), "%s", kind);
	snprintf(about.policy, sizeof(about.policy), "locked");
	ck_assert_msg(record_create(&record, &about, &err) == 0, "%s", err.text);
	return record;
}

void life(const char *name, const char *kind, int status)
{
	struct record *record = create(name, kind);

	record_end(record, RECORD_STOPPED, status, NULL);
	record_close(record);
}

void killed(const char *name)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		create(name, "start");
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ready[0]);
	close(ready[1]);
}

int count(void)
{
	struct record_info *list;
	int n = record_list(&list, NULL);

	free(list);
	return n;
}
