/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/on_ask.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/sandbox/approval_command.h"

struct launcher *on_ask_launcher(struct loop *loop, const char *command)
{
	static struct launcher_service service = {.request = &approval_command_request};
	static const struct launcher_config config = {.service = &service, .services = 1};
	struct launcher *launcher;

	if (!command)
		return NULL;
	service.state = (char *)(uintptr_t)command;
	ck_assert_int_eq(launcher_start(&launcher, loop, &config, NULL), 0);
	return launcher;
}

void on_ask_wait_ended(const struct launcher *launcher)
{
	char path[64], text[64];
	int pid = launcher_pid(launcher), fd;
	ssize_t n;

	ck_assert_int_gt(pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	for (;; usleep(1000)) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		n = read(fd, text, sizeof(text));
		close(fd);
		ck_assert_int_ge(n, 0);
		if (n == 0)
			return;
	}
}
