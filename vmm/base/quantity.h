/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers for numbers, sizes and durations in options and policies. 0, or -EINVAL with a message.
 */
#ifndef CORDON_BASE_QUANTITY_H
#define CORDON_BASE_QUANTITY_H

#include <stdint.h>

#include "vmm/base/err.h"

/* A decimal integer from low to high. */
int quantity_number(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err);

/* "2", "0.5", "1.25": thousandths, from low to high (both in thousandths). */
int quantity_millis(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err);

/* "256M", "2G", "1048576": bytes, with the suffixes K M G T (powers of 1024). */
int quantity_size(const char *text, uint64_t *bytes, struct err *err);

/* "90" (seconds), "90s", "5m", "2h", "250ms"; not 0. */
int quantity_duration(const char *text, uint64_t *ns, struct err *err);

#endif
