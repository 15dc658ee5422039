/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of `cordon top`: functions from data to text. The data is what `--json` prints; strings
 * in it may be the guest's.
 *
 * Text that a guest chose is the last cell of its line. Such a line never gets wider than the page:
 * control characters are escaped, and a character that is not ASCII counts as two columns, because
 * terminals differ on which ones are wide.
 */
#ifndef CORDON_CLI_TOP_PAGE_H
#define CORDON_CLI_TOP_PAGE_H

#include <jansson.h>

struct top_size {
	unsigned rows, columns; /* 0: unlimited */
};

/*
 * A page of one sandbox, or of the list of all of them (an object with `sandboxes`): lines, each
 * with a newline, at most size.rows. malloc()ed; NULL: out of memory.
 */
char *top_page(const json_t *data, struct top_size size);

#endif
