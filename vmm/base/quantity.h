/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, sizes and times as people write them. All: 0, or -EINVAL with a message. */
#ifndef CORDON_BASE_QUANTITY_H
#define CORDON_BASE_QUANTITY_H

#include <stdint.h>

#include "vmm/base/err.h"

/* A whole number from low to high. */
int quantity_number(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err);

/* "256M", "2G", "1048576", with K M G T (powers of 1024). */
int quantity_size(const char *text, uint64_t *bytes, struct err *err);

/* "90", "90s", "5m", "2h", "250ms". */
int quantity_duration(const char *text, uint64_t *ns, struct err *err);

#endif
