/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return code > 0 ? -code : -EIO;
}

static int err_vcode(struct err *err, int code, const char *fmt, va_list ap)
{
	size_t used;

	if (code <= 0)
		code = EIO;
	if (err) {
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		used = strlen(err->text);
		snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
	}
	return -code;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int code = errno;
	va_list ap;

	va_start(ap, fmt);
	code = err_vcode(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_code(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = err_vcode(err, code, fmt, ap);
	va_end(ap);
	return code;
}
