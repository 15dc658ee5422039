/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values.
 *
 * A function that can fail returns 0 or a negative errno. The function that knows what failed
 * writes one message: what, where, and what to do, without a trailing newline. Callers pass the
 * struct err on unchanged; the outermost one prints it.
 */
#ifndef CORDON_BASE_ERR_H
#define CORDON_BASE_ERR_H

struct err {
	char text[512]; /* "" while nothing has failed */
};

/*
 * Formats a message and returns -code, so that a failure is one line:
 *     return err_set(err, EINVAL, "%s: not an ELF file", path);
 * err may be NULL (the message is dropped). code is a positive errno value.
 */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set with code = errno, and ": <strerror>" appended. Returns -errno (never 0). */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_sys, for an error number that the caller has. */
int err_code(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
