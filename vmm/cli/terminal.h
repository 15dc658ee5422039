/* SPDX-License-Identifier: Apache-2.0 */
/* The user's terminal: raw while a command uses it, then restored. */
#ifndef CORDON_CLI_TERMINAL_H
#define CORDON_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
	bool raw;
	int in_fd, out_fd;
	struct termios before;
};

/*
 * Puts in_fd into raw mode if it is a terminal. Always paired with terminal_leave(); fatal signals,
 * those of a crash included, restore the terminal first. One terminal at a time.
 */
void terminal_enter(struct terminal *terminal, int in_fd, int out_fd);
void terminal_leave(struct terminal *terminal);

/* From a signal handler, before the process ends: as it was before terminal_enter(). */
void terminal_restore(void);

/*
 * For a library that sets the terminal's mode itself: keeps the mode that fd has now. Fatal signals
 * restore it, and so does terminal_release().
 */
void terminal_keep(int fd);
void terminal_release(void);

/* Gives the terminal to another process, in the mode that is kept, and takes it back. */
void terminal_lend(void);
void terminal_take_back(void);

/* Whether stdin and stdout are a terminal that can do more than print lines (TERM is not "dumb").
 */
bool terminal_is_screen(void);

/* The size of the terminal on stdout, or else on stdin; 24 rows and 80 columns if none is known. */
void terminal_window(uint16_t *rows, uint16_t *columns);

/* The size of the terminal that was entered; false and 0 if there is none. */
bool terminal_size(const struct terminal *terminal, uint16_t *rows, uint16_t *columns);

#endif
