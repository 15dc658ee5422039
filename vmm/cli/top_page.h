/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of `cordon top`: functions from data to text. The data is what `--json` prints; strings
 * in it may be the guest's.
 *
 * Text that a guest chose is the last cell of its line, which never gets wider than the page
 * (page.h).
 */
#ifndef CORDON_CLI_TOP_PAGE_H
#define CORDON_CLI_TOP_PAGE_H

#include "vmm/cli/page.h"

/*
 * A page of one sandbox, or of the list of all of them (an object with `sandboxes`): lines, each
 * with a newline, at most size.rows. malloc()ed; NULL: out of memory.
 */
char *top_page(const json_t *data, struct top_size size);

/* The first line of one sandbox's page: use of processors and memory against its limits. */
void top_page_summary(struct page *page, const json_t *data);

#endif
