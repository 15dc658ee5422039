/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

/* The terminal in raw mode, for the handler of fatal signals. */
static struct {
	volatile sig_atomic_t raw;
	int fd;
	struct termios before;
} entered;

/* The user's own mode, while terminal_keep() holds it. */
static struct {
	bool held;
	int fd;
	struct termios mode, lent;
} kept;

void terminal_restore(void)
{
	sigset_t stop;

	/* From the background, setting it would stop this process instead. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	if (entered.raw)
		tcsetattr(entered.fd, TCSANOW, &entered.before);
}

static void on_fatal_signal(int number)
{
	terminal_restore();
	/* SA_RESETHAND restored the default action. */
	raise(number);
}

static void catch_fatal_signals(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,	SIGTRAP,   SIGSYS,
				    SIGABRT, SIGXCPU, SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF};
	const struct sigaction action = {
		.sa_handler = on_fatal_signal,
		.sa_flags = (int)SA_RESETHAND | SA_NODEFER,
	};
	struct sigaction before;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fatal); i++)
		if (sigaction(fatal[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(fatal[i], &action, NULL);
}

static void guard(int fd, const struct termios *before)
{
	entered.fd = fd;
	entered.before = *before;
	catch_fatal_signals();
	entered.raw = 1;
}

void terminal_keep(int fd)
{
	if (tcgetattr(fd, &kept.mode) < 0)
		return;
	kept.fd = fd;
	kept.lent = kept.mode;
	kept.held = true;
	guard(fd, &kept.mode);
}

void terminal_release(void)
{
	if (kept.held)
		tcsetattr(kept.fd, TCSADRAIN, &kept.mode);
	kept.held = false;
	entered.raw = 0;
}

void terminal_lend(void)
{
	if (kept.held && tcgetattr(kept.fd, &kept.lent) == 0)
		tcsetattr(kept.fd, TCSADRAIN, &kept.mode);
}

void terminal_take_back(void)
{
	if (kept.held)
		tcsetattr(kept.fd, TCSADRAIN, &kept.lent);
}

void terminal_enter(struct terminal *terminal, int in_fd, int out_fd)
{
	struct termios raw;

	*terminal = (struct terminal){.in_fd = in_fd, .out_fd = out_fd};
	if (tcgetattr(in_fd, &terminal->before) < 0)
		return;
	raw = terminal->before;
	cfmakeraw(&raw);
	if (!kept.held)
		guard(in_fd, &terminal->before);
	terminal->raw = tcsetattr(in_fd, TCSANOW, &raw) == 0;
}

void terminal_leave(struct terminal *terminal)
{
	if (terminal->raw)
		tcsetattr(terminal->in_fd, TCSADRAIN, &terminal->before);
	terminal->raw = false;
	entered.raw = kept.held;
}

bool terminal_is_screen(void)
{
	const char *name = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && name && name[0] &&
	       strcmp(name, "dumb") != 0;
}

void terminal_window(uint16_t *rows, uint16_t *columns)
{
	struct winsize size = {.ws_row = 0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	*rows = size.ws_row ? size.ws_row : 24;
	*columns = size.ws_col ? size.ws_col : 80;
}

bool terminal_size(const struct terminal *terminal, uint16_t *rows, uint16_t *columns)
{
	struct winsize size;

	*rows = *columns = 0;
	if (!terminal->raw || (ioctl(terminal->out_fd, TIOCGWINSZ, &size) < 0 &&
			       ioctl(terminal->in_fd, TIOCGWINSZ, &size) < 0))
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return true;
}
