/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the network from a guest or the host to the servers of `net-world`. Linked statically.
 * Prints a line `ID VALUE UNIT` a figure.
 *
 *   net-client SECONDS     of each measurement
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/net/measures.h"

int main(int argc, char **argv)
{
	double seconds = argc == 2 ? atof(argv[1]) : 0;
	struct outcome outcome;
	unsigned i;

	if (seconds <= 0) {
		fprintf(stderr, "usage: net-client SECONDS\n");
		return EXIT_FAILURE;
	}
	for (i = 0; i < MEASURES; i++) {
		outcome = measure((enum measure)i, seconds);
		printf("%s %.6g %s\n", measure_name[i], outcome.value, measure_unit[i]);
		fflush(stdout);
	}
	return EXIT_SUCCESS;
}
