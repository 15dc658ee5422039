/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds that docs/limits.md lists. */
#ifndef CORDON_TEST_LIMITS_TABLE_H
#define CORDON_TEST_LIMITS_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum unit { COUNT, BYTES, SECOND, BYTES_SECOND, NS, SECONDS };

struct limit {
	const char *what;
	uint64_t value;
	enum unit unit;
	const char *at;	  /* what happens there */
	const char *test; /* drives it: SUITE.FILE.TEST */
};

struct section {
	const char *title, *text;
	const struct limit *limit;
	size_t limits;
};

/* Ends with one without a title. */
const struct section *limit_sections(void);

#endif
