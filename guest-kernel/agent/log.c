/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-kernel/agent/agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Writes one line to the console. For rare messages: each byte costs an exit from the guest. */
void agent_log(const char *fmt, ...)
{
	char line[256] = "cordon-agent: ";
	const size_t prefix = 14;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line + prefix, sizeof(line) - prefix - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - prefix - 2)
		n = (int)(sizeof(line) - prefix - 2);
	line[prefix + (size_t)n] = '\n';
	if (write(2, line, prefix + (size_t)n + 1) < 0) {
		/* There is nowhere to report it. */
	}
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
