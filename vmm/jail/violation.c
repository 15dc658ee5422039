/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail/violation.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/exit_status.h"
#include "vmm/jail/lists.h"

/* How long a slow reader of stderr is waited for. */
#define READER_MS 1000

/* The code of a SIGSYS that a filter raised: SYS_SECCOMP of <asm-generic/siginfo.h>. */
#define BY_FILTER 1

#define LINE_MAX_BYTES 256

static const char *const names[] = {
#include "system_calls.inc"
};

static __thread enum jail_thread own;
static int log_fd = -1;
static void (*at_last)(void);

void jail_note_thread(enum jail_thread thread)
{
	own = thread;
}

void jail_set_log(int fd)
{
	log_fd = fd;
}

void jail_set_last(void (*last)(void))
{
	at_last = last;
}

const char *jail_call_name(int number)
{
	if (number < 0 || (size_t)number >= ARRAY_SIZE(names) || !names[number])
		return "unknown";
	return names[number];
}

/* Without what a signal handler may not call. */
static size_t make_line(char line[LINE_MAX_BYTES], int number)
{
	const struct jail_list *list = jail_list(own);
	const char *const parts[] = {
		"cordon: the ",
		list ? list->thread : "monitor's",
		" thread made the system call ",
		jail_call_name(number),
		", which its list does not permit: ended\n",
	};
	size_t used = 0, length, i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		length = min_u64(strlen(parts[i]), LINE_MAX_BYTES - used);
		memcpy(line + used, parts[i], length);
		used += length;
	}
	return used;
}

static void on_violation(int signal_number, siginfo_t *info, void *context)
{
	struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[LINE_MAX_BYTES];
	size_t length;

	(void)context;
	if (info->si_code != BY_FILTER) { /* sent by a process */
		signal(signal_number, SIG_DFL);
		raise(signal_number);
		return;
	}
	length = make_line(line, info->si_syscall);
	if (poll(&reader, 1, READER_MS) == 1 && write(STDERR_FILENO, line, length) < 0) {
		/* There is nowhere left to say it. */
	}
	if (log_fd >= 0 && write(log_fd, line, length) < 0) {
		/* The same. */
	}
	if (at_last)
		at_last();
	_exit(EXIT_CORDON);
}

int jail_catch_violations(struct err *err)
{
	const struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO};

	return sigaction(SIGSYS, &action, NULL) < 0 ? err_sys(err, "sigaction") : 0;
}
