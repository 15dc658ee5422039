/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints docs/limits.md: every size that a guest can drive, from the constants themselves. `make
 * limits` writes the file; a test compares it, and looks for the tests that it names.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/limits/table.h"
#include "vmm/base/bytes.h"

static void print_value(const struct limit *limit)
{
	static const char *const suffix[] = {
		[COUNT] = "",
		[BYTES] = "",
		[SECOND] = " a second",
		[BYTES_SECOND] = " a second",
	};
	uint64_t value = limit->value;

	if (limit->unit == NS && value % 1000000 == 0)
		printf("%llu ms", (unsigned long long)value / 1000000);
	else if (limit->unit == NS)
		printf("%llu us", (unsigned long long)value / 1000);
	else if (limit->unit == SECONDS)
		printf("%llu s", (unsigned long long)value);
	else if (limit->unit == COUNT || limit->unit == SECOND)
		printf("%llu%s", (unsigned long long)value, suffix[limit->unit]);
	else if (value >= GIB(1) && value % GIB(1) == 0)
		printf("%llu GiB%s", (unsigned long long)(value >> 30), suffix[limit->unit]);
	else if (value >= MIB(1) && value % MIB(1) == 0)
		printf("%llu MiB%s", (unsigned long long)(value >> 20), suffix[limit->unit]);
	else if (value >= 1024 && value % 1024 == 0)
		printf("%llu KiB%s", (unsigned long long)(value >> 10), suffix[limit->unit]);
	else
		printf("%llu bytes%s", (unsigned long long)value, suffix[limit->unit]);
}

static void print_section(const struct section *section)
{
	const struct limit *limit;
	size_t i;

	printf("\n## %s\n\n%s\n\n| what | bound | at the bound | driven by |\n|---|---|---|---|\n",
	       section->title, section->text);
	for (i = 0; i < section->limits; i++) {
		limit = &section->limit[i];
		printf("| %s | ", limit->what);
		print_value(limit);
		printf(" | %s | `%s` |\n", limit->at, limit->test);
	}
}

int main(void)
{
	const struct section *section;

	printf("# Limits\n\n"
	       "Every size that a guest can drive, what happens there, and the test that drives "
	       "it to its bound. This file is generated: `make limits` writes it from the "
	       "constants (`tests/limits`), and `make check` compares it.\n");
	for (section = limit_sections(); section->title; section++)
		print_section(section);
	return 0;
}
